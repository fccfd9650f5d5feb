// A ring that cannot fail proves nothing. Each planted bug is an edit of the built code, in a copy of
// it; the same ring must find each of them. An edit whose text is not found is an error, so that the
// list cannot rot.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { folderUrl, loadLibrary, realBuild } from './library.ts'
import { runRing } from './ring.ts'

export interface PlantedBug {
  readonly name: string
  /** The layer of the file; `log` by default. */
  readonly layer?: 'machine'
  /** The file, below the folder of its layer in dist. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** Images after which a bug counts as missed. */
const STATES_MAX = 600_000
const SECONDS_MAX = 300

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'an append is acknowledged without its sync',
    file: 'sync-written.js',
    find: 'yield w.store.sync((error) => {\n        w.poisonWith(error);\n    });',
    replace: '',
  },
  {
    name: 'an append is acknowledged before its sync',
    file: 'commit.js',
    find: "if (w.settings.sync === 'always')\n                yield* syncWritten(w);\n            acknowledge(w, group, done, next);",
    replace:
      "acknowledge(w, group, done, next);\n            if (w.settings.sync === 'always')\n                yield* syncWritten(w);",
  },
  {
    name: 'no directory sync after a rename',
    file: 'file-steps.js',
    find: 'yield syncFolderStep(files, dirname(path));',
    replace: '',
  },
  {
    name: 'no sync of a new file before its rename',
    file: 'file-steps.js',
    find: 'yield syncFileStep(file, temporary);',
    replace: '',
  },
  {
    name: 'a segment is succeeded before it is synced',
    file: 'roll.js',
    find: 'w.store.truncate(sealed.endPosition);\n    yield* syncWritten(w);',
    replace: 'w.store.truncate(sealed.endPosition);',
  },
  {
    name: 'the synced mark covers what was written during the sync',
    file: 'background-sync.js',
    find: 'w.syncedMark = Math.max(w.syncedMark, endOffset);',
    replace: 'w.syncedMark = w.active.endOffset;',
  },
  {
    name: 'the witness vouches for the group it is in',
    file: 'commit.js',
    find: 'const witness = Math.max(0, w.syncedMark - active.base);',
    replace: 'const witness = lsn + 1;',
  },
  {
    name: 'a torn tail is not cut off',
    file: 'recovery.js',
    find: 'file.truncateSync(tail.endPosition);',
    replace: '',
  },
  {
    name: 'recovery trusts the page cache and rewrites nothing',
    file: 'recovery.js',
    find: 'yield writeStep(file, read.buffer, position);',
    replace: '',
  },
  {
    name: 'recovery does not sync what it keeps',
    file: 'recovery.js',
    find: 'yield syncFileStep(file, active.storePath);',
    replace: '',
  },
  {
    name: 'a batch is kept in part',
    file: 'segment-scan.js',
    find: 'if (!header.more) {\n            endOffset = offset;',
    replace: '{\n            endOffset = offset;',
  },
  {
    name: 'a cut leaves the old synced mark',
    file: 'cut.js',
    find: 'yield* w.marks.lower();',
    replace: '',
  },
  {
    name: 'a cut goes on in the same segment, without a cut on the disk',
    file: 'cut.js',
    find: 'const next = yield* createSegment(w.folder, w.settings, successor);',
    replace:
      'if (successor.predecessor === w.active.id) { w.closeStore(); w.active.endOffset = from; w.active.endPosition = successor.predecessorEnd; w.active.lastTerm = successor.previousTerm; w.active.index?.cut(from - w.active.base); w.syncedMark = Math.min(w.syncedMark, from); w.segments = [...w.segments, w.active]; return; }\n    const next = yield* createSegment(w.folder, w.settings, successor);',
  },
  {
    name: 'the low-water mark is written before the entries below it are synced',
    file: 'trim.js',
    find: 'if (w.syncedMark < before)\n        yield* syncWritten(w);',
    replace: '',
  },
  {
    name: 'segments are removed before the low-water mark is raised on the disk',
    file: 'trim.js',
    find: 'yield* writeMeta(w.settings.files, w.folder, { ...metaOf(w), lowWaterMark: before, lowTerm });',
    replace:
      'removeSegments(w, w.segments.filter((segment) => segment !== w.active && segment.endOffset <= before));\n    yield* writeMeta(w.settings.files, w.folder, { ...metaOf(w), lowWaterMark: before, lowTerm });',
  },
  {
    name: 'the mark of a clean end outlives the first append',
    file: 'commit.js',
    find: 'yield* markUnclean(w);',
    replace: '',
  },
  {
    name: 'a failed write is not rolled back',
    file: 'commit.js',
    find: 'w.store.truncate(active.endPosition);',
    replace: '',
  },
  {
    name: 'a failed sync does not poison',
    file: 'commit.js',
    find: 'reason = w.poisonWith(error);',
    replace: "reason = new TidemarkError('IO', 'sync failed', {}, error);",
  },
]

/** The changed file of a build with this bug, below its folder, and its text. */
export function patchOf(bug: PlantedBug): { file: string; text: string } {
  const file = join(bug.layer ?? 'log', bug.file)
  const text = readFileSync(join(fileURLToPath(realBuild), file), 'utf8')
  if (text.split(bug.find).length !== 2) {
    throw new Error(`planted bug "${bug.name}": its text is not in ${bug.file} exactly once`)
  }
  return { file, text: text.replace(bug.find, () => bug.replace) }
}

/** Builds with one planted bug. Returns the folder. */
export function plant(bug: PlantedBug, into: string): string {
  const { file, text } = patchOf(bug)
  const folder = join(into, bug.name.replace(/\W+/g, '-'))
  const isRun = (path: string) => !path.endsWith('.d.ts')
  cpSync(fileURLToPath(realBuild), folder, { recursive: true, filter: isRun })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, file), text)
  return folder
}

/** Runs the ring against each planted bug and prints a table. Returns how many were missed. */
export async function findPlantedBugs(
  seed: number,
  print: (line: string) => void,
  bugs: readonly PlantedBug[] = PLANTED_BUGS,
): Promise<number> {
  const into = mkdtempSync(join(tmpdir(), 'tidemark-bugs-'))
  let missed = 0
  try {
    for (const bug of bugs) {
      const library = await loadLibrary(folderUrl(plant(bug, into)))
      const result = await runRing(library, {
        seed,
        states: STATES_MAX,
        seconds: SECONDS_MAX,
        imagesPerOperation: 1,
        stopAtFault: true,
      })
      const [fault] = result.faults
      const what = fault ? `found after ${result.checked} images, seed ${fault.seed}` : 'MISSED'
      if (!fault) missed++
      print(`${bug.name.padEnd(72)} ${what}`)
      if (fault) print(`    ${fault.message.split('\n')[0]!.slice(0, 150)}`)
    }
  } finally {
    rmSync(into, { recursive: true, force: true })
  }
  return missed
}
