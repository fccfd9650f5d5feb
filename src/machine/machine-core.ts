import { TidemarkError } from '../base/index.ts'
import type { Entry } from '../log/index.ts'
import { BytesIn } from './bytes-in.ts'
import { BytesOut } from './bytes-out.ts'
import { type Command, decodeCommand, KIND, VERSION_BY_OFFSET } from './command-format.ts'
import type { Context, MachineSettings } from './options.ts'
import type { Applied, Outcome } from './outcome.ts'
import { PendingEvents } from './pending-events.ts'
import { Sessions } from './sessions.ts'
import { UnreadableCommand } from './unreadable.ts'

/** The type of an entry that holds a command; others are not for the machine. */
const TYPE_COMMAND = 1

/**
 * The deterministic part of a state machine: entries in, outcomes out. It waits for nothing and asks nobody,
 * so two of these that were given the same entries are in the same state.
 *
 * Invariant: everything here follows from the entries below `next` alone.
 */
export class MachineCore<S, C, R, E> {
  readonly sessions: Sessions<R>
  readonly events: PendingEvents<E>
  state: S
  /** Offset of the first entry that was not applied. */
  next: number
  /** The highest timestamp of the entries that were. */
  logTime = 0
  readonly #settings: MachineSettings<S, C, R, E>
  /** What the command that is being executed has emitted. */
  readonly #emitted: E[] = []
  #isApplying = false
  readonly #emit = (event: E): void => {
    if (this.#isApplying) this.#emitted.push(event)
    // An event belongs to one command; this one is over.
    else throw new TidemarkError('INVALID_ARGUMENT', 'emit was called after apply had returned')
  }

  constructor(settings: MachineSettings<S, C, R, E>, state: S, next: number) {
    this.#settings = settings
    this.sessions = new Sessions(settings.sessions, settings.results)
    this.events = new PendingEvents(settings.events)
    this.state = state
    this.next = next
  }

  /** Applies the next entry. Throws CORRUPT or UNSUPPORTED_VERSION where it is not a command. */
  apply(entry: Entry): Applied<R> | undefined {
    const command = entry.type === TYPE_COMMAND ? decodeCommand(entry) : undefined
    this.next = entry.offset + entry.count
    if (entry.timestamp > this.logTime) this.logTime = entry.timestamp
    this.sessions.expire(this.logTime)
    return command && this.#perform(entry, command)
  }

  #perform(entry: Entry, command: Command): Applied<R> | undefined {
    const isByOffset = command.version === VERSION_BY_OFFSET
    // What of version 1 is not delivered gets its numbers here, as a snapshot of version 1 had none.
    if (!isByOffset) this.events.giveNumbers()
    switch (command.kind) {
      case KIND.openSession:
        if (!isByOffset) return { opened: this.sessions.open(this.logTime) }
        this.sessions.openAs(entry.offset, this.logTime)
        return undefined
      case KIND.delivered:
        if (isByOffset) this.events.deliveredAt(command.first, command.second)
        else this.events.delivered(command.first)
        return undefined
      case KIND.request:
        return this.#request(entry, command)
      default:
        return this.#execute(entry, command)
    }
  }

  #request(entry: Entry, command: Command): Outcome<R> {
    const { first: session, second: request } = command
    const known = this.sessions.answer(session, request)
    if (!known) {
      const outcome = this.#execute(entry, command)
      this.sessions.remember(session, request, outcome)
      this.sessions.touch(session, this.logTime)
      return outcome
    }
    this.sessions.touch(session, this.logTime)
    return known
  }

  #execute({ offset, timestamp, term }: Entry, { version, body }: Command): Outcome<R> {
    const command = this.#decode(body, offset)
    const emitted = this.#emitted
    const context: Context<E> = { offset, timestamp, term, logTime: this.logTime, emit: this.#emit }
    this.#isApplying = true
    try {
      const result = this.#settings.apply(this.state, command, context)
      refusePromise(result)
      for (let i = 0; i < emitted.length; i++) {
        this.events.add(offset, i, emitted[i]!, version !== VERSION_BY_OFFSET)
      }
      return { ok: true, result }
    } catch (error) {
      if (error instanceof UnreadableCommand) throw error
      return { ok: false, error }
    } finally {
      this.#isApplying = false
      if (emitted.length > 0) emitted.length = 0
    }
  }

  #decode(body: Buffer, offset: number): C {
    try {
      return this.#settings.commands.decode(body)
    } catch (error) {
      throw new UnreadableCommand(
        `the codec cannot decode the command at offset ${offset}: the log may be another machine's`,
        error,
      )
    }
  }

  /** What of a snapshot is not the state itself. */
  encodeHead(): Buffer {
    const out = new BytesOut()
    out.u48(this.next)
    out.u48(this.logTime)
    out.u48(this.sessions.opened)
    out.u48(this.events.numbered)
    this.sessions.write(out)
    this.events.write(out)
    return out.done()
  }

  /**
   * Takes over what {@link encodeHead} wrote; `isByOffset` if version 1 did, which counted neither sessions nor
   * events: none of those it knew counts now either. Throws CORRUPT.
   */
  decodeHead(bytes: Uint8Array, isByOffset = false): void {
    const from = new BytesIn(bytes)
    this.next = from.u48()
    this.logTime = from.u48()
    const opened = isByOffset ? 0 : from.u48()
    const numbered = isByOffset ? undefined : from.u48()
    this.sessions.read(from, opened, this.next, this.logTime)
    this.events.read(from, numbered, this.next)
    if (!from.isAtEnd) throw new TidemarkError('CORRUPT', 'the head of a snapshot is too long')
  }
}

/** A command has one outcome, at one moment. */
function refusePromise(result: unknown): void {
  if (typeof (result as { then?: unknown } | null | undefined)?.then !== 'function') return
  // Nobody waits for it, so nobody would hear of its failure.
  Promise.resolve(result).catch(() => {})
  throw new TidemarkError(
    'INVALID_ARGUMENT',
    'apply returned a promise; it must do its work at once, and wait for nothing',
  )
}
