import { TidemarkError } from '../base/index.ts'
import type { CommitLog, Entry } from '../log/index.ts'
import {
  encodeDelivered,
  encodeOpenSession,
  encodePlain,
  encodeRequest,
  framePlain,
  REQUEST_MAX,
} from './command-format.ts'
import type { MachineCore } from './machine-core.ts'
import { restoreCore } from './machine-snapshot.ts'
import {
  checkCount,
  checkNames,
  type MachineOptions,
  type MachineSettings,
  machineSettings,
} from './options.ts'
import type { Applied } from './outcome.ts'
import { Outcomes } from './outcomes.ts'
import { type MachineEvent, UNNUMBERED } from './pending-events.ts'
import { ReplayCheck } from './replay-check.ts'
import { Session } from './session.ts'
import { parseSessionId, sessionId } from './session-id.ts'
import { Snapshotter } from './snapshotter.ts'
import { Submissions } from './submissions.ts'

/** The log that a state machine is built on: of plain bytes, in a folder or anywhere else. */
export type MachineLog = CommitLog<Buffer, Uint8Array | string>

export interface ExecuteOptions {
  /** The session's id, from `openSession`. Only together with `request`. */
  readonly session?: string | undefined
  /** The number of the request in its session, from 1. The same number is applied once. */
  readonly request?: number | undefined
}

/**
 * A state that is built from a log: a command is appended first, and executed when it is safe. After a crash
 * the newest snapshot and a replay of the log give the same state again.
 *
 * Patterns: write-ahead log, idempotent receiver, singular update queue, outbox (docs/patterns.md).
 */
export class StateMachine<S, C, R = unknown, E = unknown> {
  readonly #log: MachineLog
  readonly #settings: MachineSettings<S, C, R, E>
  readonly #outcomes = new Outcomes<R>()
  readonly #submissions: Submissions<R>
  readonly #snapshots: Snapshotter<S, C, R, E>
  readonly #stop = new AbortController()
  #core: MachineCore<S, C, R, E>
  #check: ReplayCheck<S, C, R, E> | undefined
  #comparing: Promise<void> = Promise.resolve()
  #following: Promise<void> = Promise.resolve()
  #failure: unknown
  #isClosed = false
  /** Who waits for the next entry that is applied. */
  readonly #onApplied = new Set<() => void>()

  private constructor(
    log: MachineLog,
    settings: MachineSettings<S, C, R, E>,
    core: MachineCore<S, C, R, E>,
    damaged: Set<number>,
  ) {
    this.#log = log
    this.#settings = settings
    this.#core = core
    this.#submissions = new Submissions(log, this.#outcomes, (end) => this.#appliedFor(end))
    this.#snapshots = new Snapshotter(
      log,
      settings,
      () => {
        this.#checkSound()
        return this.#core
      },
      () => this.#check?.next ?? Number.POSITIVE_INFINITY,
      damaged,
    )
  }

  /**
   * Builds the state from the newest sound snapshot and the entries since, and goes on from there. The log stays
   * the caller's: close the machine first, then the log. Nothing else may append to it, but entries of the
   * types from 128 on, which the machine passes over. On a log that is open for reading the state follows
   * its writer.
   *
   * Throws INVALID_ARGUMENT, CORRUPT (also where an entry is not a command), TRIMMED, UNSUPPORTED_VERSION,
   * IO, CLOSED.
   */
  static async open<S, C, R = unknown, E = unknown>(
    log: MachineLog,
    options: MachineOptions<S, C, R, E>,
  ): Promise<StateMachine<S, C, R, E>> {
    const settings = machineSettings(options)
    await log.barrier()
    const damaged = new Set<number>()
    const core = await restoreCore(log, settings, damaged)
    const machine = new StateMachine(log, settings, core, damaged)
    if (settings.check) {
      const second = await restoreCore(log, settings, damaged)
      machine.#check = new ReplayCheck(log, settings, second)
    }
    await machine.#catchUp(log.highWaterMark)
    machine.#following = machine.#follow()
    return machine
  }

  /** Offset of the first entry that is not in the state. */
  get offset(): number {
    return this.#core.next
  }

  /** The highest timestamp of what is in the state, in ms since 1970. */
  get logTime(): number {
    return this.#core.logTime
  }

  /** Events that were emitted and are not known to be delivered. */
  get pendingEvents(): number {
    return this.#core.events.count
  }

  /** Sessions that are remembered. */
  get sessions(): number {
    return this.#core.sessions.count
  }

  /** Why the last snapshot that was taken by itself has failed; undefined if it has not. */
  get snapshotFailure(): unknown {
    return this.#snapshots.failure
  }

  /**
   * Appends a command, and resolves with what `apply` returned for it when it is safe and executed; rejects with
   * what `apply` threw. With a session and a request, a command that was executed before is answered as it
   * was then: UNCERTAIN if that is no longer known, and then it is not executed.
   *
   * Rejects with what the log's `append` does: if that is not a refusal (INVALID_ARGUMENT, OVERLOADED,
   * TOO_LARGE), the command may be executed after all.
   */
  execute(command: C, options?: ExecuteOptions): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#checkOpen()
      const body = checkBody(this.#settings.commands.encode(command))
      const asked = options === undefined ? undefined : checkRequest(options)
      if (!asked) {
        this.#append(encodePlain(body), resolve, reject)
        return
      }
      const known = this.#core.sessions.answer(asked.session, asked.request)
      // What is known is known to all who have come as far; it need not be asked of the log.
      if (known?.ok) resolve(known.result)
      else this.#append(encodeRequest(asked.session, asked.request, body), resolve, reject)
    })
  }

  /** @internal The same for a command that is encoded behind room for its head (`PLAIN_BYTES`). */
  submit(bytes: Buffer, resolve: (result: R) => void, reject: (error: unknown) => void): void {
    this.#append(framePlain(bytes), resolve, reject)
  }

  /**
   * Opens a session, in which requests have numbers and each is executed once. Its id is the same in every copy of
   * the log. It is not given again, unless a loss of power takes the entry that opened it: not under
   * `sync: 'always'`, nor in a quorum. Rejects like `execute`.
   */
  async openSession(): Promise<Session<C, R>> {
    this.#checkOpen()
    const session = await new Promise<number>((opened, reject) => {
      this.#submissions.submit(encodeOpenSession(), { resolve: () => {}, opened, reject })
    })
    return new Session(sessionId(session), (command, options) => this.execute(command, options))
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Calls `read` with the state as it is in this process, at once. It must not change it, nor keep it. */
  query<T>(read: (state: S) => T): T {
    this.#checkOpen()
    return read(this.#core.state)
  }

  /** The same, when everything is in the state that anyone was told is safe before the call. */
  async read<T>(read: (state: S) => T): Promise<T> {
    this.#checkOpen()
    await this.#log.barrier()
    await this.#catchUp(this.#log.highWaterMark)
    return this.query(read)
  }

  /**
   * Takes a snapshot, and trims the log as the options say. Commands go on meanwhile. Resolves with the offset that it
   * stands for, when it is on the disk.
   */
  async snapshot(): Promise<number> {
    this.#checkOpen()
    return this.#snapshots.take()
  }

  /**
   * The events that commands emit, each again and again until `delivered` is called for it or for a later one:
   * after a crash, those come again that were not. In order; waits for more.
   */
  async *events({
    signal,
  }: {
    readonly signal?: AbortSignal | undefined
  } = {}): AsyncGenerator<MachineEvent<E>, void> {
    let last = 0
    for (;;) {
      signal?.throwIfAborted()
      if (this.#isClosed) return
      this.#checkOpen()
      const next = this.#core.events.after(last)
      if (!next) {
        await this.nextApplied(this.#core.next, signal)
      } else if (next.number === UNNUMBERED) {
        await this.#numberEvents(signal)
      } else {
        last = next.number
        yield next
      }
    }
  }

  /** Events of version 1 get their numbers by the next command, whatever it is: this one delivers nothing. */
  async #numberEvents(signal: AbortSignal | undefined): Promise<void> {
    const { next } = this.#core
    try {
      await this.#noteDelivered(UNNUMBERED)
    } catch (error) {
      // Who only follows gets them from whoever writes.
      if (!(error instanceof TidemarkError) || error.code !== 'READ_ONLY') throw error
      await this.nextApplied(next, signal)
    }
  }

  /** Notes in the log that an event was delivered, and with it all before it. */
  async delivered(event: Pick<MachineEvent<E>, 'number'>): Promise<void> {
    const { number } = event ?? {}
    await this.#noteDelivered(checkCount(number, 'number', 1, REQUEST_MAX))
  }

  async #noteDelivered(number: number): Promise<void> {
    await new Promise((resolve, reject) => {
      this.#append(encodeDelivered(number), resolve, reject)
    })
  }

  /** Waits for the commands and the snapshot that are under way, and stops. The log stays open. */
  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true
      await this.#outcomes.idle()
      this.#stop.abort()
      for (const wake of this.#onApplied) wake()
    }
    await this.#following
    await this.#snapshots.idle()
    await this.#comparing
    await this.#compareAtEnd()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Throws what the machine has failed with. */
  #checkSound(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  #checkOpen(): void {
    this.#checkSound()
    if (this.#isClosed) throw new TidemarkError('CLOSED', 'the state machine is closed')
  }

  #append(bytes: Buffer, resolve: (result: R) => void, reject: (error: unknown) => void): void {
    this.#checkOpen()
    this.#submissions.submit(bytes, { resolve, reject })
  }

  /** What has been applied, unless what was appended up to `end` never will be. */
  #appliedFor(end: number): number {
    const { next } = this.#core
    if (this.#failure !== undefined && next < end) throw this.#failure
    return next
  }

  /** Applies what is below `target`. Who reads along is not in the way: each entry is applied by whoever is first. */
  async #catchUp(target: number): Promise<void> {
    while (this.#core.next < target) {
      const { next } = this.#core
      try {
        // What was acknowledged elsewhere may still have to come here.
        const follow = target > this.#log.highWaterMark
        const { signal } = this.#stop
        const reader = this.#log.read({ from: next, to: target, ...(follow && { follow, signal }) })
        for await (const entries of reader.batches()) {
          for (const entry of entries) this.#apply(entry)
        }
        break
      } catch (error) {
        if (!(await this.#beginAgain(error))) throw error
      }
    }
    this.#checkSound()
    // In a log with gaps there may be no entry right below the target.
    if (this.#core.next < target) this.#core.next = target
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    for (;;) {
      try {
        const reader = this.#log.read({ from: this.#core.next, follow: true, signal })
        for await (const entries of reader.batches()) {
          for (const entry of entries) this.#apply(entry)
        }
        this.#fail(new TidemarkError('CLOSED', 'the log of the state machine is closed'))
        return
      } catch (error) {
        if (signal.aborted) return
        if (await this.#beginAgain(error)) continue
        this.#fail(error)
        return
      }
    }
  }

  /**
   * Where the log was trimmed past a machine that only follows it, the snapshot that allowed it has what is
   * missing. Returns false if that is not what has happened.
   */
  async #beginAgain(error: unknown): Promise<boolean> {
    if (!(error instanceof TidemarkError) || error.code !== 'TRIMMED') return false
    const { next } = this.#core
    const core = await restoreCore(this.#log, this.#settings, new Set()).catch(() => undefined)
    // Whoever has seen the same meanwhile may have been faster.
    if (this.#core.next > next) return true
    if (!core || core.next <= next) return false
    this.#core = core
    this.#check = undefined
    return true
  }

  #apply(entry: Entry): void {
    if (entry.offset < this.#core.next || this.#failure !== undefined) return
    let outcome: Applied<R> | undefined
    try {
      outcome = this.#core.apply(entry)
    } catch (error) {
      this.#fail(error)
      throw error
    }
    this.#outcomes.applied(entry.offset, outcome)
    this.#snapshots.applied(entry.data.length)
    if (this.#onApplied.size > 0) for (const wake of this.#onApplied) wake()
    if (this.#check?.note(entry.offset, outcome)) this.#compare()
  }

  #compare(): void {
    const check = this.#check!
    this.#comparing = this.#comparing
      .then(() => check.compare(this.#core))
      .catch((error) => {
        this.#fail(error)
      })
  }

  async #compareAtEnd(): Promise<void> {
    const check = this.#check
    this.#check = undefined
    if (check && this.#failure === undefined) await check.compare(this.#core)
    const isDiverged = (this.#failure as TidemarkError | undefined)?.code === 'DIVERGED'
    if (isDiverged) throw this.#failure
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined || this.#stop.signal.aborted) return
    this.#failure = error
    this.#outcomes.fail(error)
    for (const wake of this.#onApplied) wake()
  }

  /**
   * Resolves when an entry at or above `from` was applied (at once if one was), when the machine is closed or has
   * failed, or when the signal is aborted.
   */
  nextApplied(from = this.#core.next, signal?: AbortSignal): Promise<void> {
    // What has happened already wakes nobody any more.
    const isOver = this.#isClosed || this.#failure !== undefined || signal?.aborted
    if (isOver || this.#core.next > from) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener('abort', wake)
        this.#onApplied.delete(wake)
        resolve()
      }
      signal?.addEventListener('abort', wake, { once: true })
      this.#onApplied.add(wake)
    })
  }
}

function checkBody(body: unknown): Uint8Array | string {
  if (typeof body === 'string' || body instanceof Uint8Array) return body
  throw new TidemarkError(
    'INVALID_ARGUMENT',
    `the codec of commands must give a Uint8Array or a string, not ${typeof body}: this is no command`,
  )
}

/** The session and the request of a call, if it has them. Throws INVALID_ARGUMENT. */
function checkRequest(options: ExecuteOptions): { session: number; request: number } | undefined {
  checkNames(options, ['session', 'request'], 'execute')
  const { session, request } = options
  if (session === undefined && request === undefined) return undefined
  return {
    session: checkSession(session),
    request: checkCount(request, 'request', 1, REQUEST_MAX),
  }
}

function checkSession(session: unknown): number {
  const number = parseSessionId(session)
  if (number !== undefined) return number
  throw new TidemarkError(
    'INVALID_ARGUMENT',
    `session must be an id from openSession, not ${typeof session === 'string' ? JSON.stringify(session) : typeof session}`,
  )
}
