import { TidemarkError } from '../base/index.ts'
import type { Cancel, Clock } from '../io/index.ts'
import type { HostedLog } from './hosted-log.ts'
import type { MemberEvents } from './member-events.ts'

/** From the start of a member to its first pass. */
const FIRST_MS = 60_000
/** Between the beginnings of two passes, at least. */
const PASS_MS = 600_000
/** What a segment costs at least, however little is in it: many small logs are not read all at once. */
const SEGMENT_BYTES_MIN = 64 * 1024
/** How long a replica that is being opened is waited for. */
const OPEN_MS = 10_000

export interface ScrubOptions {
  /** Only this log; all by default. */
  readonly log?: string | undefined
  /** Ends the pass, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Called after each segment. */
  readonly onProgress?: ((done: ScrubProgress) => void) | undefined
}

/** How far a pass is. */
export interface ScrubProgress {
  /** The log that is being read. */
  readonly log: string
  /** So far, of all logs. */
  readonly entries: number
  readonly bytes: number
}

/** What a pass over the logs of a member has read and found. */
export interface ScrubReport {
  /** How many logs were read. */
  readonly logs: number
  /** Offsets that hold sound entries. */
  readonly entries: number
  readonly bytes: number
  /** Offsets from `from`, below `to`. They are being got back from others. */
  readonly damaged: readonly { readonly log: string; readonly from: number; readonly to: number }[]
  readonly durationMs: number
}

interface Pass {
  entries: number
  bytes: number
  readonly damaged: ScrubReport['damaged'][number][]
  readonly signal: AbortSignal
  readonly pace: (bytes: number) => Promise<void> | void
  readonly onProgress?: ScrubOptions['onProgress']
}

/**
 * Reads all that is synced in the logs of a member, and checks it, so that damage is met while others can still give back
 * what is lost. One timer for all logs.
 */
export class Scrubber {
  readonly #logs: () => readonly HostedLog[]
  readonly #clock: Clock
  readonly #bytesPerMs: number
  readonly #tell: (event: MemberEvents['failed']) => void
  readonly #stop = new AbortController()
  #cancel: Cancel | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(parts: {
    readonly logs: () => readonly HostedLog[]
    readonly clock: Clock
    /** Of the passes in the background; 0: there are none. */
    readonly bytesPerSecond: number
    readonly tell: (event: MemberEvents['failed']) => void
  }) {
    this.#logs = parts.logs
    this.#clock = parts.clock
    this.#bytesPerMs = parts.bytesPerSecond / 1000
    this.#tell = parts.tell
  }

  /** Begins the passes in the background. */
  start(): void {
    if (this.#bytesPerMs > 0) this.#after(FIRST_MS)
  }

  async close(): Promise<void> {
    this.#stop.abort(new TidemarkError('CLOSED', 'the member is closed'))
    this.#cancel?.()
    await this.#running
  }

  /** One pass now, as fast as the disk. Rejects with NOT_FOUND, IO, CLOSED, or the signal's reason. */
  async scrub(options: ScrubOptions = {}): Promise<ScrubReport> {
    const { log, signal: own, onProgress } = options
    const begun = this.#clock.monotonic()
    const signal = own ? AbortSignal.any([own, this.#stop.signal]) : this.#stop.signal
    signal.throwIfAborted()
    const logs = this.#logs().filter(({ name }) => log === undefined || name === log)
    if (log !== undefined && logs.length === 0) {
      throw new TidemarkError('NOT_FOUND', `there is no log ${JSON.stringify(log)}`)
    }
    const pace = () => signal.throwIfAborted()
    const pass: Pass = { entries: 0, bytes: 0, damaged: [], signal, pace, onProgress }
    for (const hosted of logs) await this.#read(hosted, pass)
    const { entries, bytes, damaged } = pass
    const durationMs = this.#clock.monotonic() - begun
    return { logs: logs.length, entries, bytes, damaged, durationMs }
  }

  #after(ms: number): void {
    this.#cancel = this.#clock.after(ms, () => {
      const begun = this.#clock.monotonic()
      this.#running = this.#passInBackground().then(() => {
        if (this.#stop.signal.aborted) return
        this.#after(Math.max(FIRST_MS, PASS_MS - (this.#clock.monotonic() - begun)))
      })
    })
  }

  async #passInBackground(): Promise<void> {
    const { signal } = this.#stop
    const pass: Pass = { entries: 0, bytes: 0, damaged: [], signal, pace: this.#slowly() }
    for (const hosted of this.#logs()) {
      try {
        await this.#read(hosted, pass)
      } catch (error) {
        if (signal.aborted) return
        if (hosted.isClosed) continue
        // It keeps nobody from the other logs.
        this.#tell({ log: hosted.name, error, retryMs: undefined })
      }
    }
  }

  /** Reads a log from its low-water mark to what is synced now. */
  async #read(hosted: HostedLog, pass: Pass): Promise<void> {
    let next = 0
    for (;;) {
      pass.signal.throwIfAborted()
      const log = hosted.live
      // What has failed is examined when it is opened again, and tells why it is not.
      if (!log) return
      const check = await log.replica.checkSegment(next, pass.pace)
      if (!check) return
      const { file, end, entries, bytes, damaged } = check
      pass.entries += entries
      pass.bytes += bytes
      for (const { offset, endOffset } of damaged) {
        pass.damaged.push({ log: hosted.name, from: offset, to: endOffset })
      }
      for (const { offset, position, problem } of damaged) {
        const details = { file, position, offset }
        const text = `${file} of the log ${hosted.name} is damaged at offset ${offset}: ${problem}`
        hosted.damaged(log, new TidemarkError('CORRUPT', text, details))
      }
      pass.onProgress?.({ log: hosted.name, entries: pass.entries, bytes: pass.bytes })
      next = end
      if (damaged.length > 0) await isOpen(hosted)
      await pass.pace(Math.max(0, SEGMENT_BYTES_MIN - bytes))
    }
  }

  /** What waits for each piece as long as it takes at the rate that is allowed. */
  #slowly(): Pass['pace'] {
    const { signal } = this.#stop
    let paidUntil = 0
    return async (bytes) => {
      const now = this.#clock.monotonic()
      paidUntil = Math.max(paidUntil, now) + bytes / this.#bytesPerMs
      await this.#sleep(paidUntil - now, signal)
    }
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (ms < 1) return
    await new Promise<void>((resolve) => {
      const woken = () => {
        cancel()
        signal.removeEventListener('abort', woken)
        resolve()
      }
      const cancel = this.#clock.after(ms, woken)
      signal.addEventListener('abort', woken)
    })
    signal.throwIfAborted()
  }
}

/** Waits for a replica that is opened again because of damage. */
async function isOpen(hosted: HostedLog): Promise<void> {
  try {
    await hosted.until(() => hosted.live !== undefined, OPEN_MS, 'it is open again')
  } catch (error) {
    // Then it is passed over, and so is one that was deleted.
    if (!(error instanceof TidemarkError)) throw error
  }
}
