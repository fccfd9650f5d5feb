// Opens a damaged copy of a specimen in every way and says what became of its entries.

import { type Entry, type Log, TidemarkError, verifyLog } from 'tidemark'
import { cloneAll, type ForgetfulFiles } from '#dist/simulation/index.js'
import { FOLDER, open, type Specimen } from './specimen.ts'

export interface Outcome {
  /** Entries that came back with another content, or at another place: never allowed. */
  wrong: string[]
  /** Offsets that are gone although nothing was reported. */
  silent: number[]
  /** True if an opening or a read reported CORRUPT. */
  reported: boolean
}

/** A copy of the specimen with one file changed. */
export function damaged(
  specimen: Specimen,
  name: string,
  change: (bytes: Uint8Array) => Uint8Array,
): ForgetfulFiles {
  const files = cloneAll(specimen.files)
  const path = `${FOLDER}/${name}`
  const file = files.openSync(path, 'write')
  const bytes = new Uint8Array(file.sizeSync())
  file.readSync(bytes, 0)
  const changed = change(bytes)
  file.truncateSync(0)
  file.writeSync(changed, 0)
  file.closeSync()
  return files
}

export async function examine(files: ForgetfulFiles, specimen: Specimen): Promise<Outcome> {
  const outcome: Outcome = { wrong: [], silent: [], reported: false }
  for (const mode of ['read', 'append'] as const) {
    // Reading must not change anything; writing may recover, so it gets a copy of its own.
    const copy = mode === 'read' ? files : cloneAll(files)
    await examineOpening(copy, mode, specimen, outcome)
  }
  return outcome
}

async function examineOpening(
  files: ForgetfulFiles,
  mode: 'read' | 'append',
  specimen: Specimen,
  outcome: Outcome,
): Promise<void> {
  let log: Log
  try {
    log = await open(files, mode)
  } catch (error) {
    expectCorrupt(error)
    outcome.reported = true
    return
  }
  if (log.lowWaterMark !== specimen.low) {
    outcome.wrong.push(`${mode}: low-water mark ${log.lowWaterMark}`)
  }
  const found = new Map<number, string>()
  const damage = await readAll(log, found)
  const isDamaged = damage !== undefined
  for (const offset of specimen.contents.keys()) {
    if (isDamaged && offset < damage && !found.has(offset)) {
      outcome.wrong.push(`${mode}: offset ${offset} before the damage at ${damage}`)
    }
  }
  await getAll(log, specimen, found, isDamaged, outcome)
  for (const [offset, text] of found) {
    if (specimen.contents.get(offset) !== text) outcome.wrong.push(`${mode}: offset ${offset}`)
  }
  if (isDamaged) {
    outcome.reported = true
  } else {
    for (const offset of specimen.contents.keys()) {
      if (!found.has(offset) && !outcome.silent.includes(offset)) outcome.silent.push(offset)
    }
  }
  await log.close()
}

/** The offset at which CORRUPT was met, if it was. */
async function readAll(log: Log, found: Map<number, string>): Promise<number | undefined> {
  try {
    for await (const entry of log.read()) note(found, entry)
    return undefined
  } catch (error) {
    return expectCorrupt(error).details.offset
  }
}

/** What `get` says must fit what reading said. */
async function getAll(
  log: Log,
  specimen: Specimen,
  found: ReadonlyMap<number, string>,
  isDamaged: boolean,
  outcome: Outcome,
): Promise<void> {
  for (const [offset, text] of specimen.contents) {
    try {
      const entry = await log.get(offset)
      if (entry && entry.data.toString('latin1') !== text) outcome.wrong.push(`get ${offset}`)
      if (!entry && found.has(offset)) outcome.wrong.push(`get ${offset} finds nothing`)
    } catch (error) {
      expectCorrupt(error)
      if (!isDamaged) outcome.wrong.push(`get ${offset} fails where reading does not`)
    }
  }
}

function note(found: Map<number, string>, entry: Entry): void {
  if (found.has(entry.offset)) throw new Error(`offset ${entry.offset} was read twice`)
  found.set(entry.offset, entry.data.toString('latin1'))
}

function expectCorrupt(error: unknown): TidemarkError {
  if (error instanceof TidemarkError && error.code === 'CORRUPT') return error
  throw error
}

/** Whether a verification finds the damage. */
export async function isFoundByVerify(files: ForgetfulFiles): Promise<boolean> {
  return !(await verifyLog(FOLDER, { files })).sound
}
