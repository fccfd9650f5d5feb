import { join } from 'node:path'
import { crc32, TidemarkError } from '../base/index.ts'
import type { Files } from '../io/index.ts'
import { readWholeSync, removeIfThere, replaceFile, syncFolderStep } from './file-steps.ts'
import { REPAIR_NAME, TEMPORARY_SUFFIX } from './names.ts'
import type { OffsetRange } from './repair-plan.ts'
import type { Steps } from './steps.ts'
import { unsupportedVersion } from './version.ts'

const JOURNAL_BYTES_MAX = 2 ** 28
const JOURNAL_VERSION = 1

/**
 * What a repair does to the names in a folder, once all that is new lies there under temporary names. It
 * is written down before the first name is changed, and from then on the folder is no log until all is
 * done: a repair that was interrupted is finished by the next one.
 */
export interface RepairJournal {
  /** Names, and those under which the files are kept. */
  readonly setAside: readonly (readonly [string, string])[]
  readonly remove: readonly string[]
  /** Names of new files, which lie there with the suffix of temporary ones. */
  readonly install: readonly string[]
  /** For the report. */
  readonly lost: readonly OffsetRange[]
  readonly problems: readonly string[]
  readonly lowWaterMark: number
  readonly highWaterMark: number
}

/** The journal of a repair that was interrupted; undefined if there is none. Throws CORRUPT. */
export function readJournal(files: Files, folder: string): RepairJournal | undefined {
  const bytes = readWholeSync(files, join(folder, REPAIR_NAME), JOURNAL_BYTES_MAX)
  if (!bytes) return undefined
  const [line = '', sum] = Buffer.from(bytes).toString('utf8').split('\n')
  if (Number.parseInt(sum ?? '', 16) === checksum(line)) {
    const { version, ...journal } = JSON.parse(line) as RepairJournal & { version: number }
    if (version === JOURNAL_VERSION) return journal
    const what = `the unfinished repair of ${folder}`
    throw unsupportedVersion(what, REPAIR_NAME, version, JOURNAL_VERSION)
  }
  throw new TidemarkError(
    'CORRUPT',
    `${join(folder, REPAIR_NAME)} is damaged, which says how to go on with an interrupted repair: put the files that end in .broken back under their old names, remove it, and repair again`,
    { file: REPAIR_NAME, position: 0 },
  )
}

function checksum(line: string): number {
  const bytes = Buffer.from(line)
  return crc32(bytes, 0, bytes.length)
}

/** Writes the journal. When this returns, the repair is decided on. */
export function* writeJournal(files: Files, folder: string, journal: RepairJournal): Steps {
  const line = JSON.stringify({ version: JOURNAL_VERSION, ...journal })
  const bytes = Buffer.from(`${line}\n${checksum(line).toString(16).padStart(8, '0')}\n`)
  yield* replaceFile(files, join(folder, REPAIR_NAME), bytes)
}

/**
 * Does what the journal says, and removes it. Each step may have been done before, or have been done and
 * lost again. Invariant: no new file takes a name before the old one is safe under its other name.
 */
export function* carryOut(files: Files, folder: string, journal: RepairJournal): Steps {
  for (const [name, kept] of journal.setAside) {
    const isDone = files.existsSync(join(folder, kept)) || !files.existsSync(join(folder, name))
    if (!isDone) files.renameSync(join(folder, name), join(folder, kept))
  }
  yield syncFolderStep(files, folder)
  for (const name of journal.remove) removeIfThere(files, join(folder, name))
  for (const name of journal.install) {
    const path = join(folder, name)
    if (files.existsSync(path + TEMPORARY_SUFFIX)) files.renameSync(path + TEMPORARY_SUFFIX, path)
  }
  yield syncFolderStep(files, folder)
  files.removeSync(join(folder, REPAIR_NAME))
  yield syncFolderStep(files, folder)
}
