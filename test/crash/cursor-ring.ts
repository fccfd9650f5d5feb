// The ring for cursors: random workloads, and for each the images that a crash could have left.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CursorWorkload, checkCursors } from './cursor-workload.ts'
import { folderUrl, type Library, loadLibrary } from './library.ts'
import { type PlantedBug, plant } from './planted-bugs.ts'

/** Images after which a bug counts as missed. */
const STATES_MAX = 200_000
const SECONDS_MAX = 120

export interface CursorRingOptions {
  readonly seed: number
  /** Stop when so many distinct images have been checked... */
  readonly states: number
  /** ...or when so much time has passed. */
  readonly seconds: number
}

export interface CursorRingResult {
  distinct: number
  checked: number
  /** What went wrong first, with the seed to see it again. */
  fault: string | undefined
}

/** Runs workloads with the seeds `seed`, `seed + 1`, ... up to the first fault. */
export async function runCursorRing(
  library: Library,
  options: CursorRingOptions,
): Promise<CursorRingResult> {
  const result: CursorRingResult = { distinct: 0, checked: 0, fault: undefined }
  const seen = new Set<number>()
  const stopAt = performance.now() + options.seconds * 1000
  for (let seed = options.seed; ; seed++) {
    result.fault = await runOne(library, seed, seen, result)
    result.distinct = seen.size
    if (result.fault || seen.size >= options.states || performance.now() > stopAt) return result
  }
}

async function runOne(
  library: Library,
  seed: number,
  seen: Set<number>,
  result: CursorRingResult,
): Promise<string | undefined> {
  const random = library.seededRandom(seed)
  const workload = new CursorWorkload(library, random)
  const where = (error: unknown, what: string) =>
    `seed ${seed}, ${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
  try {
    await workload.run(10 + (random.uint32() % 30))
  } catch (error) {
    return where(error, 'in the workload')
  }
  for (const sample of workload.samples) {
    const { image, operation } = sample
    if (image.fingerprint >= 0) seen.add(image.fingerprint)
    result.checked++
    try {
      await checkCursors(library, sample)
    } catch (error) {
      return where(error, `${image.kind}, before ${operation}`)
    }
  }
  return undefined
}

const CURSOR_BUGS: readonly PlantedBug[] = [
  {
    name: 'the low-water mark follows cursors that are not synced',
    file: 'slowest-cursor.js',
    find: 'yield syncFileStep(file, path);',
    replace: '',
  },
  {
    name: 'a flush does not sync the cursors',
    file: 'cursor-file.js',
    find: 'yield syncFileStep(this.#file, this.path);',
    replace: '',
  },
  {
    name: 'the folder of cursors is made without the sync of its name',
    file: 'cursor-file.js',
    find: 'yield syncFolderStep(files, logFolder);',
    replace: '',
  },
  {
    name: 'cursors beyond the end stay there',
    file: 'open-writer.js',
    find: 'await finish(lowerCursors(settings, folder, w.active.endOffset));',
    replace: ';',
  },
  {
    name: 'a deleted cursor is not gone for good',
    file: 'cursors.js',
    find: "await files.syncDirectory(join(path, '..'));",
    replace: '',
  },
]

/** Runs the ring against each planted bug and prints a line for each. Returns how many were missed. */
export async function findCursorBugs(seed: number, print: (line: string) => void): Promise<number> {
  const into = mkdtempSync(join(tmpdir(), 'tidemark-cursor-bugs-'))
  let missed = 0
  try {
    for (const bug of CURSOR_BUGS) {
      const library = await loadLibrary(folderUrl(plant(bug, into)))
      const limits = { states: STATES_MAX, seconds: SECONDS_MAX }
      const { fault, checked } = await runCursorRing(library, { seed, ...limits })
      if (!fault) missed++
      print(`${bug.name.padEnd(72)} ${fault ? `found after ${checked} images` : 'MISSED'}`)
      if (fault) print(`    ${fault.split('\n')[0]!.slice(0, 150)}`)
    }
  } finally {
    rmSync(into, { recursive: true, force: true })
  }
  return missed
}
