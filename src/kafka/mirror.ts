import { TidemarkError } from '../base/index.ts'
import { nodeClock, nodeFiles } from '../io/index.ts'
import { checkNames, checkOffset, type Entry, Log } from '../log/index.ts'
import { FolderTarget } from './folder-target.ts'
import { KafkaLog } from './kafka-log.ts'
import type { KafkaLogOptions } from './kafka-options.ts'
import type { MirrorPlace, MirrorSource, MirrorTarget } from './mirror-target.ts'
import { pause } from './patience.ts'

/** A log to copy from or to: the path of a folder, or a partition of a topic. */
export type MirrorEnd = string | Omit<KafkaLogOptions, 'codec'>

export interface MirrorProgress {
  /** Entries copied by this call. */
  readonly entries: number
  readonly bytes: number
  /** The first offset in the source that is not copied. */
  readonly next: number
  /** How many offsets of the source are not looked at yet. */
  readonly lag: number
}

export interface MirrorOptions {
  /** Go on with what comes, until `signal` says otherwise; otherwise it ends where the source ended when it began. */
  readonly follow?: boolean | undefined
  /**
   * The offset to begin at if nothing was copied before, also behind something else; where the source begins by default.
   * Without effect where something was.
   */
  readonly from?: number | undefined
  /** Ends the mirroring: what was copied is made safe, then the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: MirrorProgress) => void) | undefined
}

export interface MirrorReport extends MirrorProgress {
  /** Where this call began, in the source. */
  readonly from: number
  /** True if something was copied before. */
  readonly isResumed: boolean
}

/** When nothing comes for so long, what was copied is made safe and shown. */
const IDLE_MS = 100
/** So often in a row, nothing having been copied in between, a failure may happen that passes. */
const FAILURES_MAX = 5
const FAILED_MS = 500

/**
 * Copies entries of one log to another, in order: type, timestamp and data; offsets and terms are the target's own. How far it
 * has come is kept at the target together with what was copied, so that it may be killed at any moment, and the next call
 * goes on behind the last entry that is there: each is there once. One mirror into a target at a time; of two into a topic the
 * later one takes over.
 *
 * Rejects with INVALID_ARGUMENT (also if the target is not empty and no mirror of this source), TOO_LARGE, TRIMMED (what comes
 * next is not in the source any more), LOCKED, NOT_FOUND, CORRUPT, UNAVAILABLE, DENIED. All but a wrong call can be repeated.
 */
export async function mirrorLog(
  from: MirrorEnd,
  to: MirrorEnd,
  options: MirrorOptions = {},
): Promise<MirrorReport> {
  checkMirrorOptions(options)
  const { signal } = options
  const source = await unlessAborted(openSource(from), signal, ({ log }) => log.close())
  try {
    const target = await unlessAborted(openTarget(to), signal, (late) => late.close())
    try {
      checkOther(source, target)
      return await new Mirroring(source, target, options).run()
    } finally {
      await target.close()
    }
  } finally {
    await source.log.close()
  }
}

function checkMirrorOptions(options: MirrorOptions): void {
  checkNames(options, ['follow', 'from', 'signal', 'onProgress'], 'mirror options')
  if (options.from !== undefined) checkOffset(options.from, 'from')
}

/** However the two are written. */
function checkOther({ name }: MirrorSource, { identity }: MirrorTarget): void {
  if (name !== identity) return
  throw new TidemarkError('INVALID_ARGUMENT', `a log cannot be a mirror of itself: ${name}`)
}

/** What `work` comes to, or the reason of `signal` as soon as it is given; what comes after that is closed. */
async function unlessAborted<R>(
  work: Promise<R>,
  signal: AbortSignal | undefined,
  close: (late: R) => Promise<void>,
): Promise<R> {
  if (!signal) return work
  let aborted = () => {}
  const abort = new Promise<never>((_, reject) => {
    aborted = () => reject(signal.reason)
  })
  signal.addEventListener('abort', aborted)
  if (signal.aborted) aborted()
  try {
    return await Promise.race([work, abort])
  } catch (error) {
    if (signal.aborted) work.then(close).catch(() => {})
    throw error
  } finally {
    signal.removeEventListener('abort', aborted)
  }
}

async function openSource(end: MirrorEnd): Promise<MirrorSource> {
  if (typeof end === 'string') {
    const log = await Log.open(end, { mode: 'read' })
    return { name: nodeFiles.realPathSync(end), log }
  }
  const log = await KafkaLog.open(end)
  return { name: log.identity, log }
}

async function openTarget(end: MirrorEnd): Promise<MirrorTarget> {
  if (typeof end === 'string') return FolderTarget.open(end)
  // What was aborted says nothing of how far the source is copied.
  const log = await KafkaLog.open({ ...end, isolation: 'read_committed' })
  return log.asTarget()
}

class Mirroring {
  readonly #source: MirrorSource
  readonly #target: MirrorTarget
  readonly #options: MirrorOptions
  #next = 0
  /** Up to here the source was looked through: what lies between this and `next` is nothing to copy. */
  #seen = 0
  #entries = 0
  #bytes = 0
  /** What of that is known to be safe. */
  #safe = { entries: 0, bytes: 0 }

  constructor(source: MirrorSource, target: MirrorTarget, options: MirrorOptions) {
    this.#source = source
    this.#target = target
    this.#options = options
  }

  async run(): Promise<MirrorReport> {
    const { log } = this.#source
    const { follow, from, signal } = this.#options
    const nothing = () => Promise.resolve()
    await unlessAborted(log.barrier(), signal, nothing)
    const to = follow ? undefined : log.highWaterMark
    if (from !== undefined && from > log.highWaterMark) {
      const problem = `from is ${from}, and the source ends at ${log.highWaterMark}`
      throw new TidemarkError('INVALID_ARGUMENT', problem)
    }
    const place = await unlessAborted(this.#target.begin(this.#source, from), signal, nothing)
    this.#next = place.next
    let failures = 0
    for (;;) {
      const before = this.#next
      try {
        await this.#copy(to)
        return { ...this.#progress(), from: place.next, isResumed: place.isResumed }
      } catch (error) {
        failures = this.#next > before ? 1 : failures + 1
        if (!isPassing(error) || failures > FAILURES_MAX) throw error
      }
      await pause(nodeClock, FAILED_MS)
      this.#goOn(await this.#target.begin(this.#source, undefined))
    }
  }

  /** What was written and is not there is copied again. */
  #goOn({ next }: MirrorPlace): void {
    this.#next = next
    this.#entries = this.#safe.entries
    this.#bytes = this.#safe.bytes
  }

  async #copy(to: number | undefined): Promise<void> {
    const { follow, signal } = this.#options
    const reader = this.#source.log
      .read({ from: this.#next, follow, ...(to !== undefined && { to }), signal })
      .batches()
    try {
      let coming: ReturnType<typeof reader.next> | undefined
      for (;;) {
        coming ??= reader.next()
        const result = this.#target.isDirty ? await soon(coming) : await coming
        if (result === undefined) {
          this.#seen = this.#source.log.highWaterMark
          await this.#settle()
          continue
        }
        coming = undefined
        if (result.done) {
          this.#seen = to ?? this.#seen
          break
        }
        await this.#write(result.value)
      }
    } catch (error) {
      if (signal?.aborted) await this.#settle()
      throw error
    } finally {
      await reader.return?.()
    }
    await this.#settle()
  }

  async #settle(): Promise<void> {
    await this.#target.settle()
    this.#safe = { entries: this.#entries, bytes: this.#bytes }
  }

  async #write(entries: readonly Entry[]): Promise<void> {
    await this.#target.write(entries)
    const { offset, count } = entries.at(-1)!
    this.#next = offset + count
    this.#entries += entries.length
    for (const { data } of entries) this.#bytes += data.length
    this.#options.onProgress?.(this.#progress())
  }

  #progress(): MirrorProgress {
    return {
      entries: this.#entries,
      bytes: this.#bytes,
      next: this.#next,
      lag: Math.max(0, this.#source.log.highWaterMark - Math.max(this.#next, this.#seen)),
    }
  }
}

/** What comes, or undefined if nothing does for a while. */
async function soon<R>(coming: Promise<R>): Promise<R | undefined> {
  let cancel = () => {}
  const idle = new Promise<undefined>((resolve) => {
    cancel = nodeClock.after(IDLE_MS, () => resolve(undefined), true)
  })
  try {
    return await Promise.race([coming, idle])
  } finally {
    cancel()
  }
}

function isPassing(error: unknown): boolean {
  if (!(error instanceof TidemarkError)) return false
  return error.code === 'UNAVAILABLE' || error.code === 'UNCERTAIN'
}
