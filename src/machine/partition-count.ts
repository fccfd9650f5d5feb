import { join } from 'node:path'
import { errnoOf, TidemarkError } from '../base/index.ts'
import { Log, type LogOptions, text } from '../log/index.ts'
import { PARTITIONS_MAX } from './partition-for.ts'

// How many partitions there are is kept in a small log of its own, beside theirs. A log has all that this
// needs: one step that is durable, a checksum, recovery, and readers in other processes. It has two entries:
//
//   partitions 8   is appended, durably, before the first partition is made. From then on the number
//                  stands: whoever opens the folder makes what is missing of them.
//   made           is appended when all of them are there, durably. From then on a partition that is not
//                  there has been lost, and is not made anew: what it held would be missing without a word.
//
// So a crash at any moment leaves no number, and then no partition either; or the number, and then
// some of the partitions; or all. From each of these the next opening goes on.

/** What is said of the partitions of a folder. */
export interface PartitionCount {
  readonly partitions: number
  /** True if all of them were there once. */
  readonly isMade: boolean
}

/** What the log of the count shares with the partitions. */
export type CountTools = Pick<LogOptions, 'files' | 'clock' | 'random' | 'lock' | 'pollMs'>

const COUNT_FOLDER = 'partitions'
const COUNT = /^partitions ([1-9]\d{0,6})$/
/** Of what is not one of these two lines only so much is read, and shown. */
const LINES_READ = 3
const SHOWN = 100
const MADE = 'made'

/** The folder of the log of the count. */
export function countFolder(folder: string): string {
  return join(folder, COUNT_FOLDER)
}

/** The count without changing anything; undefined if there is none. */
export async function readCount(
  folder: string,
  tools: CountTools,
): Promise<PartitionCount | undefined> {
  try {
    return await withCountLog(folder, tools, 'read', (log) => countIn(folder, log))
  } catch (error) {
    if (errnoOf(error) === 'NOT_FOUND') return undefined
    throw error
  }
}

/** The count; that which is wanted becomes it, durably, if there is none. Undefined if none is wanted either. */
export function settleCount(
  folder: string,
  tools: CountTools,
  wanted: number | undefined,
): Promise<PartitionCount | undefined> {
  return withCountLog(folder, tools, 'append', async (log) => {
    const found = await countIn(folder, log)
    if (found || wanted === undefined) return found
    await log.append(`partitions ${wanted}`)
    return { partitions: wanted, isMade: false }
  })
}

/** Notes that all partitions are there, which must be durable. */
export function markMade(folder: string, tools: CountTools): Promise<void> {
  return withCountLog(folder, tools, 'append', async (log) => {
    await log.append(MADE)
  })
}

async function withCountLog<R>(
  folder: string,
  tools: CountTools,
  mode: 'append' | 'read',
  use: (log: Log<string>) => Promise<R>,
): Promise<R> {
  // Two entries need no space ahead of them.
  const options = { ...tools, mode, codec: text, preallocate: false }
  const log = await Log.open(countFolder(folder), options)
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}

async function countIn(folder: string, log: Log<string>): Promise<PartitionCount | undefined> {
  const lines: string[] = []
  for await (const { data } of log.read()) {
    lines.push(data.slice(0, SHOWN))
    if (lines.length === LINES_READ) break
  }
  if (lines.length === 0) return undefined
  const [first = '', second = MADE] = lines
  const count = Number(COUNT.exec(first)?.[1] ?? 0)
  const isCount = count >= 1 && count <= PARTITIONS_MAX
  if (log.lowWaterMark > 0 || lines.length > 2 || second !== MADE || !isCount) {
    throw new TidemarkError(
      'CORRUPT',
      `the log ${countFolder(folder)} does not say how many partitions there are: it has ${JSON.stringify(lines)}`,
    )
  }
  return { partitions: count, isMade: lines.length === 2 }
}
