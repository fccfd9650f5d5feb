// A small log of several segments, in the states in which damage may meet it.

import { Log } from 'tidemark'
import { seededRandom } from '#dist/io/index.js'
import { cloneAll, ForgetfulFiles, ManualClock } from '#dist/simulation/index.js'

export const FOLDER = '/log'
export const SETTINGS = { segmentBytes: 900, indexIntervalBytes: 200 } as const

export interface Specimen {
  readonly name: string
  readonly files: ForgetfulFiles
  readonly low: number
  /** Contents by offset: all that was acknowledged. */
  readonly contents: ReadonlyMap<number, string>
  /** The first offset of the last group, which a stale marks file does not vouch for. */
  readonly lastGroup: number
  /** True if the last group can be lost in silence: its synced mark never reached the marks file. */
  readonly isUnwitnessed: boolean
}

function options(files: ForgetfulFiles, clock: ManualClock) {
  return { ...SETTINGS, files, clock, random: seededRandom(7) }
}

export function open(files: ForgetfulFiles, mode: 'append' | 'read'): Promise<Log> {
  return Log.open(FOLDER, { ...options(files, new ManualClock()), mode })
}

/** Batches, empty entries, entries with a store's own bytes in them; trimmed into the first segment. */
async function grow(files: ForgetfulFiles): Promise<{ log: Log; contents: Map<number, string> }> {
  const log = await Log.open(FOLDER, options(files, new ManualClock()))
  const contents = new Map<number, string>()
  const put = async (texts: string[]) => {
    const { first } = await log.appendBatch(texts.map((text) => Buffer.from(text, 'latin1')))
    for (const [i, text] of texts.entries()) contents.set(first + i, text)
  }
  await put(['first'])
  await put(['a', '', 'b'.repeat(60)])
  await put([storeBytes(files)])
  for (let i = 0; i < 6; i++) await put([`${i}`, 'x'.repeat(17 * i)])
  await put([storeBytes(files), 'y'])
  await log.trim(2)
  for (const offset of [0, 1]) contents.delete(offset)
  await put(['z'.repeat(100)])
  await put(['last', 'of', 'all'])
  return { log, contents }
}

/** Bytes of the newest store: headers that are sound, but not where they will lie. */
function storeBytes(files: ForgetfulFiles): string {
  const names = files.listSync(FOLDER).filter((name) => name.endsWith('.store'))
  const file = files.openSync(`${FOLDER}/${names.sort().at(-1)}`, 'read')
  const bytes = Buffer.alloc(150)
  const count = file.readSync(bytes, 64)
  file.closeSync()
  return bytes.subarray(0, count).toString('latin1')
}

/** Closed cleanly. */
export async function closedLog(): Promise<Specimen> {
  const files = new ForgetfulFiles()
  const { log, contents } = await grow(files)
  const low = log.lowWaterMark
  await log.close()
  return { name: 'closed', files, low, contents, lastGroup: 0, isUnwitnessed: false }
}

/** The writer's process has ended; the marks file knows of the last sync, or only of the one before. */
export async function killedLog(marks: 'fresh' | 'stale'): Promise<Specimen> {
  const files = new ForgetfulFiles()
  const { log, contents } = await grow(files)
  const clock = new ManualClock()
  await log.close()
  const again = await Log.open(FOLDER, options(files, clock))
  await again.append('before')
  contents.set(again.highWaterMark - 1, 'before')
  await clock.advance(10)
  const lastGroup = again.highWaterMark
  await again.appendBatch(['the', 'last', 'group'])
  for (const [i, text] of ['the', 'last', 'group'].entries()) contents.set(lastGroup + i, text)
  if (marks === 'stale') {
    // The marks are written at most once in a millisecond, and this one has not passed.
    await again.append('unwitnessed')
    contents.set(again.highWaterMark - 1, 'unwitnessed')
  } else {
    await clock.advance(10)
  }
  const low = again.lowWaterMark
  const name = `killed, marks ${marks}`
  const last = again.highWaterMark - 1
  return {
    name,
    files: cloneAll(files),
    low,
    contents,
    lastGroup: marks === 'stale' ? last : lastGroup,
    isUnwitnessed: marks === 'stale',
  }
}
