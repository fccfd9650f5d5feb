// The ring for durable maps: random workloads, and for each the images that a crash could have left.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { folderUrl, type Library, loadLibrary } from './library.ts'
import { checkMachine } from './machine-check.ts'
import { MachineWorkload } from './machine-workload.ts'
import { type PlantedBug, plant } from './planted-bugs.ts'

/** Images after which a bug counts as missed. */
const STATES_MAX = 100_000
const SECONDS_MAX = 120

export interface MachineRingOptions {
  readonly seed: number
  /** Stop when so many distinct images have been checked... */
  readonly states: number
  /** ...or when so much time has passed. */
  readonly seconds: number
}

export interface MachineRingResult {
  distinct: number
  checked: number
  /** What went wrong first, with the seed to see it again. */
  fault: string | undefined
}

/** Runs workloads with the seeds `seed`, `seed + 1`, ... up to the first fault. */
export async function runMachineRing(
  library: Library,
  options: MachineRingOptions,
): Promise<MachineRingResult> {
  const result: MachineRingResult = { distinct: 0, checked: 0, fault: undefined }
  const seen = new Set<number>()
  const stopAt = performance.now() + options.seconds * 1000
  // A broken invariant may escape from what nobody waits for: it is a fault of the run it happens in.
  let escaped: string | undefined
  let running = options.seed
  const onEscape = (error: unknown) => {
    escaped ??= `seed ${running}, a rejection that nobody heard: ${String(error)}`
  }
  process.on('unhandledRejection', onEscape)
  try {
    for (let seed = options.seed; ; seed++) {
      running = seed
      const fault = await runOne(library, seed, seen, result)
      // The process tells of a rejection only after the turn in which it happened.
      await setImmediate()
      result.fault = fault ?? escaped
      result.distinct = seen.size
      if (result.fault || seen.size >= options.states || performance.now() > stopAt) return result
    }
  } finally {
    process.off('unhandledRejection', onEscape)
  }
}

async function runOne(
  library: Library,
  seed: number,
  seen: Set<number>,
  result: MachineRingResult,
): Promise<string | undefined> {
  const random = library.seededRandom(seed)
  const workload = new MachineWorkload(library, random)
  const where = (error: unknown, what: string) =>
    `seed ${seed}, ${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
  let problem: string | undefined
  try {
    await withinTime(workload.run(10 + (random.uint32() % 40)))
  } catch (error) {
    problem = where(error, 'in the workload')
  }
  for (const [i, sample] of workload.samples.entries()) {
    const { image, operation } = sample
    if (image.fingerprint >= 0) seen.add(image.fingerprint)
    result.checked++
    const chance = library.seededRandom(seed * 100_003 + i)
    try {
      result.checked += await withinTime(checkMachine(library, sample, workload.settings, chance))
    } catch (error) {
      return where(error, `${image.kind}, before ${operation}`)
    }
  }
  return problem
}

/** What a bug has left waiting for ever is a fault too. */
async function withinTime<T>(run: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it did not end in 10 s')), 10_000)
  })
  return await Promise.race([run, late]).finally(() => clearTimeout(timer))
}

export const MACHINE_BUGS: readonly PlantedBug[] = [
  {
    name: 'a snapshot is renamed before it is synced',
    file: 'folder-snapshots.js',
    find: 'await file.datasync();',
    replace: '',
  },
  {
    name: 'a snapshot stands for entries that are not synced',
    file: 'folder-snapshots.js',
    find: 'await this.#rules.makeDurable(offset);',
    replace: '',
  },
  {
    name: 'the log is trimmed before the name of its snapshot is synced',
    file: 'folder-snapshots.js',
    find: 'await this.#files.syncDirectory(this.#folder);',
    replace: '',
  },
  {
    name: 'the log is trimmed before the snapshot is written',
    layer: 'machine',
    file: 'snapshotter.js',
    find: 'await this.#log.snapshots.write(offset, snapshotChunks(core, this.#settings));',
    replace:
      'const chunks = snapshotChunks(core, this.#settings);\n        await this.#log.trim(offset);\n        await this.#log.snapshots.write(offset, chunks);',
  },
  {
    name: 'the log is trimmed to the newer snapshot, which may be damaged',
    layer: 'machine',
    file: 'machine-snapshot.js',
    find: 'return kept[0];',
    replace: 'return kept.at(-1);',
  },
  {
    name: 'a damaged snapshot counts as one to fall back to',
    layer: 'machine',
    file: 'machine-snapshot.js',
    find: 'damaged.add(offset);',
    replace: '',
  },
  {
    name: 'only one snapshot is kept',
    layer: 'machine',
    file: 'machine-snapshot.js',
    find: 'const SNAPSHOTS_KEPT = 2;',
    replace: 'const SNAPSHOTS_KEPT = 1;',
  },
  {
    name: 'a snapshot is of a later state than its offset says',
    layer: 'machine',
    file: 'machine-snapshot.js',
    find: 'const chunks = state.encode(core.state);',
    replace: 'const chunks = (async function* () { yield* state.encode(core.state); })();',
  },
  {
    name: 'sessions are not in the snapshot',
    layer: 'machine',
    file: 'machine-core.js',
    find: 'this.sessions.write(out);',
    replace: 'out.u32(0);',
  },
  {
    name: 'how many sessions were opened is not in the snapshot',
    layer: 'machine',
    file: 'machine-core.js',
    find: 'out.u48(this.sessions.opened);',
    replace: 'out.u48(this.sessions.count);',
  },
  {
    name: 'what a session has forgotten is not in the snapshot',
    layer: 'machine',
    file: 'sessions.js',
    find: 'out.u48(forgotten);',
    replace: 'out.u48(0);',
  },
  {
    name: 'sessions in a snapshot are in the order of their opening',
    layer: 'machine',
    file: 'sessions.js',
    find: 'for (const [id, { lastUsed, forgotten, answers }] of this.#sessions) {',
    replace:
      'for (const [id, { lastUsed, forgotten, answers }] of [...this.#sessions].sort(([a], [b]) => a - b)) {',
  },
  {
    name: 'keys end by the clock on the wall',
    layer: 'machine',
    file: 'map-state.js',
    find: 'this.logTime + ttlMs',
    replace: 'Date.now() + ttlMs',
  },
  {
    name: 'the log time of the machine is not in the snapshot',
    layer: 'machine',
    file: 'machine-core.js',
    find: 'out.u48(this.logTime);',
    replace: 'out.u48(0);',
  },
  {
    name: 'keys that were read from a snapshot never end',
    layer: 'machine',
    file: 'map-state.js',
    find: 'state.put(pairAt(bytes, at), expiryAt(bytes, at));',
    replace: 'state.put(pairAt(bytes, at), NEVER);',
  },
]

/** Runs the ring against each planted bug and prints a line for each. Returns how many were missed. */
export async function findMachineBugs(
  seed: number,
  print: (line: string) => void,
  bugs: readonly PlantedBug[] = MACHINE_BUGS,
): Promise<number> {
  const into = mkdtempSync(join(tmpdir(), 'tidemark-machine-bugs-'))
  let missed = 0
  try {
    for (const bug of bugs) {
      const library = await loadLibrary(folderUrl(plant(bug, into)))
      const limits = { states: STATES_MAX, seconds: SECONDS_MAX }
      const { fault, checked } = await runMachineRing(library, { seed, ...limits })
      if (!fault) missed++
      print(`${bug.name.padEnd(72)} ${fault ? `found after ${checked} images` : 'MISSED'}`)
      if (fault) print(`    ${fault.split('\n')[0]!.slice(0, 150)}`)
    }
  } finally {
    rmSync(into, { recursive: true, force: true })
  }
  return missed
}
