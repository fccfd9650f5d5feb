import { join, resolve } from 'node:path'
import { errnoOf, TidemarkError } from '../base/index.ts'
import {
  type AppendedRange,
  type AppendOptions,
  bytes,
  type Codec,
  FolderLock,
  type InputOf,
  Log,
  type LogOptions,
} from '../log/index.ts'
import {
  type CountTools,
  countFolder,
  markMade,
  type PartitionCount,
  readCount,
  settleCount,
} from './partition-count.ts'
import { checkPartitions, PARTITIONS_MAX, partitionFor } from './partition-for.ts'

/** Those of a log, which hold for each partition, and the number of them. */
export interface PartitionedLogOptions<T = Buffer, I = InputOf<T>> extends LogOptions<T, I> {
  /**
   * How many partitions there are, 1 to 1,000,000. Fixed when they are made, since a key would be in another
   * one if it changed; may be left out afterwards.
   */
  readonly partitions?: number | undefined
}

/** Where an entry has been put. */
export interface PartitionOffset {
  readonly partition: number
  /** Its offset in the log of the partition. */
  readonly offset: number
}

/** Where a batch has been put. */
export interface PartitionRange extends AppendedRange {
  readonly partition: number
}

interface Opened<T, I> {
  readonly logs: Log<T, I>[]
  /** The lock that is to be given back with them; undefined if it is the caller's, or if they are only read. */
  readonly lock: FolderLock | undefined
}

type OpenOptions<T, I> = Omit<LogOptions<T, I>, 'codec'> & { readonly codec: Codec<T, I> }

/** So many partitions are opened at the same time: each may wait for the disk. */
const OPENED_AT_ONCE = 32
const NAME_DIGITS = String(PARTITIONS_MAX - 1).length

/**
 * Logs side by side in one folder, under one lock. Each key has its place in one of them, so entries of one
 * key are in order; those of different keys are in none, unless they are in the same partition. In return
 * the partitions are written and synced in parallel, and each can have a reader of its own.
 *
 * A partition is a {@link Log} like any other: it is read, trimmed and backed up by itself.
 */
export class PartitionedLog<T = Buffer, I = InputOf<T>> {
  /** Absolute path of the folder that the partitions are in. */
  readonly folder: string
  /** The logs, by the number of their partition. */
  readonly partitions: readonly Log<T, I>[]
  readonly #lock: FolderLock | undefined
  #closing: Promise<void> | undefined

  private constructor(folder: string, { logs, lock }: Opened<T, I>) {
    this.folder = folder
    this.partitions = logs
    this.#lock = lock
  }

  /**
   * Opens the partitions in `folder`; in mode `append`, makes them if there are none, or goes on where a
   * crash has interrupted that. If one of them cannot be opened, none stays open.
   *
   * Throws INVALID_ARGUMENT if there is another number of them than `partitions`, or if `folder` is a log;
   * NOT_FOUND if there are none to read, or if there are none and `partitions` is left out; CORRUPT if one that
   * was there is missing; and what `Log.open` throws.
   */
  static open(
    folder: string,
    options?: PartitionedLogOptions & { readonly codec?: never },
  ): Promise<PartitionedLog<Buffer, Uint8Array | string>>
  static open<T, I = T>(
    folder: string,
    options: PartitionedLogOptions<T, I> & { readonly codec: Codec<T, I> },
  ): Promise<PartitionedLog<T, I>>
  static open(
    folder: string,
    options: PartitionedLogOptions,
  ): Promise<PartitionedLog<Buffer, Uint8Array | string>>
  static async open(
    folder: string,
    options: PartitionedLogOptions<never, never> | PartitionedLogOptions = {},
  ): Promise<never> {
    // All of it is checked before anything is made: the number could not be taken back.
    Log.checkOpening(folder, options, ['partitions'])
    const { partitions: wanted, ...rest } = options
    if (wanted !== undefined) checkPartitions(wanted)
    const path = resolve(folder)
    const each = { ...rest, codec: (options.codec ?? bytes) as Codec<unknown> }
    const open = options.mode === 'read' ? openToRead : openToWrite
    return new PartitionedLog(path, await open(path, wanted, each)) as never
  }

  /** The partition that entries of this key are in. See {@link partitionFor}. */
  partitionFor(key: string | Uint8Array): number {
    return partitionFor(key, this.partitions.length)
  }

  /** The log of a partition, by its number. Throws INVALID_ARGUMENT if there is no such partition. */
  partition(index: number): Log<T, I> {
    const log = Number.isInteger(index) ? this.partitions[index] : undefined
    if (log) return log
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `there is no partition ${String(index)} in ${this.folder}; they are 0 to ${this.partitions.length - 1}`,
    )
  }

  /**
   * Appends one entry to the partition of its key, which is not stored: what is read must tell by itself what
   * it belongs to. Resolves when it is safe under the sync policy; rejects like `Log.append`.
   */
  async append(
    key: string | Uint8Array,
    data: I,
    options?: AppendOptions,
  ): Promise<PartitionOffset> {
    // Nothing is awaited before the log has it: calls of one key keep their order.
    const partition = this.partitionFor(key)
    const offset = await this.partition(partition).append(data, options)
    return { partition, offset }
  }

  /** Appends several entries of one key, all or nothing, even across a crash. Rejects like {@link append}. */
  async appendBatch(
    key: string | Uint8Array,
    data: readonly I[],
    options?: AppendOptions,
  ): Promise<PartitionRange> {
    const partition = this.partitionFor(key)
    const { first, last } = await this.partition(partition).appendBatch(data, options)
    return { partition, first, last }
  }

  /**
   * Makes everything appended to any partition durable, whatever the sync policy. If that fails for some, it
   * has been tried for all; rejects with the first failure.
   */
  async flush(): Promise<void> {
    await allOf(this.partitions.map((log) => log.flush()))
  }

  /** Closes all partitions and gives the lock back. Further calls do nothing. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    try {
      await allOf(this.partitions.map((log) => log.close()))
    } finally {
      // A log that could not be closed well is closed all the same, and does not need the lock any more.
      this.#lock?.release()
    }
  }
}

async function openToRead<T, I>(
  folder: string,
  wanted: number | undefined,
  options: OpenOptions<T, I>,
): Promise<Opened<T, I>> {
  const count = await readCount(folder, toolsOf(options))
  if (!count) {
    throw new TidemarkError('NOT_FOUND', `there is no partitioned log in ${folder}`)
  }
  checkCount(folder, count, wanted)
  try {
    return { logs: await openAll(folder, count, options), lock: undefined }
  } catch (error) {
    if (errnoOf(error) !== 'NOT_FOUND' || count.isMade) throw error
    const problem = `the partitions in ${folder} are not all made yet; opening them for writing does that`
    throw new TidemarkError('NOT_FOUND', problem, {}, error)
  }
}

async function openToWrite<T, I>(
  folder: string,
  wanted: number | undefined,
  options: OpenOptions<T, I>,
): Promise<Opened<T, I>> {
  const { files } = options
  if (!Log.isIn(countFolder(folder), files)) {
    if (wanted === undefined) throw notMade(folder)
    if (Log.isIn(folder, files)) {
      const problem = `${folder} is a log; a partitioned log needs a folder of its own`
      throw new TidemarkError('INVALID_ARGUMENT', problem)
    }
  }
  const own = options.lock ? undefined : await FolderLock.acquire(folder, files ? { files } : {})
  try {
    const locked = { ...options, lock: options.lock ?? own! }
    return { logs: await openLocked(folder, wanted, locked), lock: own }
  } catch (error) {
    own?.release()
    throw error
  }
}

/** Opens the partitions under the lock, and makes what is missing of them if they never were all there. */
async function openLocked<T, I>(
  folder: string,
  wanted: number | undefined,
  options: OpenOptions<T, I>,
): Promise<Log<T, I>[]> {
  const tools = toolsOf(options)
  const count = await settleCount(folder, tools, wanted)
  if (!count) throw notMade(folder)
  checkCount(folder, count, wanted)
  const logs = await openAll(folder, count, options)
  if (count.isMade) return logs
  try {
    await markMade(folder, tools)
    return logs
  } catch (error) {
    await closeAll(logs)
    throw error
  }
}

/** Opens every partition, or none. */
async function openAll<T, I>(
  folder: string,
  { partitions, isMade }: PartitionCount,
  options: OpenOptions<T, I>,
): Promise<Log<T, I>[]> {
  const open = async (index: number): Promise<Log<T, I>> => {
    const path = join(folder, String(index).padStart(NAME_DIGITS, '0'))
    if (isMade && !Log.isIn(path, options.files)) throw lost(path, partitions)
    return Log.open<T, I>(path, options)
  }
  const logs: Log<T, I>[] = []
  while (logs.length < partitions) {
    const size = Math.min(OPENED_AT_ONCE, partitions - logs.length)
    const next = Array.from({ length: size }, (_, i) => open(logs.length + i))
    // All of them must have come to an end before any is closed, and the lock given back.
    for (const result of await Promise.allSettled(next)) {
      if (result.status === 'fulfilled') logs.push(result.value)
    }
    try {
      await Promise.all(next)
    } catch (error) {
      await closeAll(logs)
      throw error
    }
  }
  return logs
}

/** Closes logs because of a failure, which is worth more than what comes of the closing. */
async function closeAll(logs: readonly { close(): Promise<void> }[]): Promise<void> {
  await Promise.allSettled(logs.map((log) => log.close()))
}

/** Waits for all, whatever becomes of some, and then throws the first failure. */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(work)
  await Promise.all(work)
}

function toolsOf(options: Omit<LogOptions, 'codec'>): CountTools {
  const { files, clock, random, lock, pollMs } = options
  return {
    ...(files && { files }),
    ...(clock && { clock }),
    ...(random && { random }),
    ...(lock && { lock }),
    ...(pollMs && { pollMs }),
  }
}

function checkCount(folder: string, count: PartitionCount, wanted: number | undefined): void {
  if (wanted === undefined || wanted === count.partitions) return
  throw new TidemarkError(
    'INVALID_ARGUMENT',
    `there are ${count.partitions} partitions in ${folder}, not ${wanted}; their number is fixed, because keys would be in other partitions`,
  )
}

function notMade(folder: string): TidemarkError {
  return new TidemarkError(
    'NOT_FOUND',
    `there is no partitioned log in ${folder}; say how many partitions to make of it with { partitions }`,
  )
}

function lost(path: string, partitions: number): TidemarkError {
  return new TidemarkError(
    'CORRUPT',
    `there is no log in ${path}, which is one of ${partitions} partitions and was there: it has been lost, and with it its entries`,
  )
}
