import { TIMESTAMP_MS_MAX, TidemarkError } from '../base/index.ts'
import { type Codec, json } from '../log/index.ts'
import { SESSIONS_DEFAULT, type SessionLimits } from './sessions.ts'
import { jsonState, type StateCodec } from './state-codec.ts'

/** What `apply` is told of a command beside the command. All of it is the same at every replay. */
export interface Context<E = unknown> {
  /** The command's offset: unlike any other's. */
  readonly offset: number
  /** When it was appended, in ms since 1970, by the writer's clock. It may go back; `logTime` does not. */
  readonly timestamp: number
  /** The highest timestamp of the log up to this entry: the time to decide by. */
  readonly logTime: number
  /** The generation of whoever appended it. */
  readonly term: number
  /** Puts an event into the outbox. If `apply` then throws, none of the command's events is emitted. */
  emit(event: E): void
}

/** When a snapshot is taken without being asked for: after whichever comes first. */
export interface SnapshotPolicy {
  /** Commands since the last one. 1,000,000 by default. */
  readonly entries?: number | undefined
  /** Bytes of commands since the last one. 64 MiB by default. */
  readonly bytes?: number | undefined
}

export interface MachineOptions<S, C, R = unknown, E = unknown> {
  /** Makes the state before the first command. Called again for each replay: no two may share anything. */
  readonly initial: () => S
  /**
   * Executes a command: changes the state, and returns the result. It must depend on nothing but its
   * arguments (no clock, no chance, no outside world), since every replay calls it again. What it throws is
   * the command's rejection, now and at every replay; it should throw before it changes anything.
   */
  readonly apply: (state: S, command: C, context: Context<E>) => R
  /** How commands lie in the log; JSON by default. */
  readonly commands?: Codec<C> | undefined
  /** How the state lies in a snapshot; JSON in one piece by default, which suits small states. */
  readonly state?: StateCodec<S> | undefined
  /** How a session's answers are remembered; JSON by default. */
  readonly results?: Codec<R> | undefined
  /** How events lie in a snapshot; JSON by default. */
  readonly events?: Codec<E> | undefined
  /** When to take snapshots; `false`: only when asked. */
  readonly snapshot?: SnapshotPolicy | false | undefined
  /**
   * After a snapshot: trim the log to the older of the two snapshots that are kept, true by default. A function
   * says what else still needs the log: the trim stops at the offset that it returns.
   */
  readonly trim?: boolean | (() => number) | undefined
  readonly sessions?: SessionLimits | undefined
  /**
   * For tests: replays the commands into a second state, some time after the first, and compares. A
   * difference stops the machine with DIVERGED. Costs twice the memory and more than twice the time.
   */
  readonly check?: boolean | undefined
}

/** The options with every default filled in. */
export interface MachineSettings<S, C, R, E> {
  readonly initial: () => S
  readonly apply: (state: S, command: C, context: Context<E>) => R
  readonly commands: Codec<C>
  readonly state: StateCodec<S>
  readonly results: Codec<R>
  readonly events: Codec<E>
  readonly snapshotEntries: number
  readonly snapshotBytes: number
  readonly trim: boolean | (() => number)
  readonly sessions: typeof SESSIONS_DEFAULT
  readonly check: boolean
}

const NAMES = [
  'initial',
  'apply',
  'commands',
  'state',
  'results',
  'events',
  'snapshot',
  'trim',
  'sessions',
  'check',
]
const SNAPSHOT_DEFAULT = { entries: 1_000_000, bytes: 64 * 1024 * 1024 }

function invalid(message: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', message)
}

/** Refuses names that are not options, and null: a misspelt option must not pass silently. */
export function checkNames(options: unknown, names: readonly string[], what: string): void {
  if (typeof options !== 'object' || options === null) {
    throw invalid(`${what} must be an object, not ${String(options)}`)
  }
  for (const [name, value] of Object.entries(options)) {
    if (value === null) throw invalid(`${name} must not be null; leave it out for the default`)
    if (!names.includes(name)) {
      throw invalid(`unknown option "${name}" of ${what}; there is ${names.join(', ')}`)
    }
  }
}

export function checkCount(value: unknown, name: string, min: number, max: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number
  }
  throw invalid(`${name} must be an integer from ${min} to ${max}, not ${String(value)}`)
}

/** Checks that an option, if it is given, is an object with these methods. */
export function checkMethods(value: unknown, name: string, methods: readonly string[]): void {
  if (value === undefined) return
  for (const method of methods) {
    if (typeof (value as Record<string, unknown>)[method] === 'function') continue
    throw invalid(`${name} must be an object with the method ${method}`)
  }
}

/** Fills in what was not given, after a check of what was. */
function counts<T extends Readonly<Record<string, number>>>(
  given: object,
  defaults: T,
  what: string,
): T {
  checkNames(given, Object.keys(defaults), what)
  const values = { ...defaults } as Record<string, number>
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined)
      values[name] = checkCount(value, `${what}.${name}`, 1, TIMESTAMP_MS_MAX)
  }
  return values as T
}

/** Checks the options of a state machine and fills in the defaults. Throws INVALID_ARGUMENT. */
export function machineSettings<S, C, R, E>(
  options: MachineOptions<S, C, R, E>,
): MachineSettings<S, C, R, E> {
  checkNames(options, NAMES, 'a state machine')
  checkMethods(options, 'the options', ['initial', 'apply'])
  checkMethods(options.commands, 'commands', ['encode', 'decode'])
  checkMethods(options.state, 'state', ['encode', 'decode'])
  checkMethods(options.results, 'results', ['encode', 'decode'])
  checkMethods(options.events, 'events', ['encode', 'decode'])
  const { snapshot = {}, trim = true, check = false } = options
  if (typeof trim !== 'boolean' && typeof trim !== 'function') {
    throw invalid('trim must be true, false or a function')
  }
  if (typeof check !== 'boolean') throw invalid(`check must be true or false, not ${String(check)}`)
  const policy =
    snapshot === false
      ? { entries: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY }
      : counts(snapshot, SNAPSHOT_DEFAULT, 'snapshot')
  return {
    initial: options.initial,
    apply: options.apply,
    commands: options.commands ?? json<C>(),
    state: options.state ?? jsonState<S>(),
    results: options.results ?? json<R>(),
    events: options.events ?? json<E>(),
    snapshotEntries: policy.entries,
    snapshotBytes: policy.bytes,
    trim,
    sessions: counts(options.sessions ?? {}, SESSIONS_DEFAULT, 'sessions'),
    check,
  }
}
