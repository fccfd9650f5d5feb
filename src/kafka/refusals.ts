import { type ErrorCode, TidemarkError } from '../base/index.ts'
import type { Client } from './client.ts'

/** A broker has answered with an error. `id` is the protocol's name of it, such as NOT_LEADER_OR_FOLLOWER. */
export class Refusal extends Error {
  readonly id: string

  constructor(id: string, detail?: string | null) {
    super(detail && detail !== id ? `${id}: ${detail}` : id)
    this.name = 'Refusal'
    this.id = id
  }
}

/** No connection came about, so nothing was asked. */
export class Unreachable extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause })
    this.name = 'Unreachable'
  }
}

/** The time was over before there was an answer. */
export class Expired extends Error {
  constructor() {
    super('no answer came in time')
    this.name = 'Expired'
  }
}

/** What came is no answer of Kafka's. */
export class Garbled extends Error {
  constructor(address: string, cause: unknown) {
    super(`what ${address} answers is not Kafka's protocol`, { cause })
    this.name = 'Garbled'
  }
}

/** What passes by itself: a leader that is being elected, replicas that are behind, a coordinator that loads. */
const PASSING = new Set([
  'BROKER_NOT_AVAILABLE',
  'CONCURRENT_TRANSACTIONS',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'CORRUPT_MESSAGE',
  'FENCED_LEADER_EPOCH',
  'INCONSISTENT_TOPIC_ID',
  'KAFKA_STORAGE_ERROR',
  'LEADER_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'NOT_CONTROLLER',
  'NOT_COORDINATOR',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'NOT_LEADER_OR_FOLLOWER',
  'OFFSET_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'REQUEST_TIMED_OUT',
  'THROTTLING_QUOTA_EXCEEDED',
  'UNKNOWN_LEADER_EPOCH',
  'UNSTABLE_OFFSET_COMMIT',
])

/**
 * After these the leader may have appended: also one that has learnt while it waited for the others that it leads no more says
 * the same as one that never led (DelayedProduce, in Kafka's source).
 */
const DOUBTFUL = new Set([
  'KAFKA_STORAGE_ERROR',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'NOT_LEADER_OR_FOLLOWER',
  'REPLICA_NOT_AVAILABLE',
  'REQUEST_TIMED_OUT',
  'UNKNOWN_SERVER_ERROR',
])

const CODES: Readonly<Record<string, ErrorCode>> = {
  // Of a transaction: it has to begin anew.
  INVALID_TXN_STATE: 'UNAVAILABLE',
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'UNAVAILABLE',
  UNKNOWN_PRODUCER_ID: 'UNAVAILABLE',
  CLUSTER_AUTHORIZATION_FAILED: 'DENIED',
  GROUP_AUTHORIZATION_FAILED: 'DENIED',
  SASL_AUTHENTICATION_FAILED: 'DENIED',
  TOPIC_AUTHORIZATION_FAILED: 'DENIED',
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'DENIED',
  UNSUPPORTED_SASL_MECHANISM: 'DENIED',
  ILLEGAL_SASL_STATE: 'DENIED',
  MESSAGE_TOO_LARGE: 'TOO_LARGE',
  RECORD_LIST_TOO_LARGE: 'TOO_LARGE',
  UNKNOWN_TOPIC_OR_PARTITION: 'NOT_FOUND',
  UNKNOWN_TOPIC_ID: 'NOT_FOUND',
  UNSUPPORTED_VERSION: 'UNSUPPORTED_VERSION',
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 'UNSUPPORTED_VERSION',
}

/** True if it is worth asking again, perhaps somebody else. What is no answer at all, a broken connection, passes too. */
export function isPassing(error: unknown): boolean {
  if (error instanceof Refusal) return PASSING.has(error.id)
  return (error instanceof Unreachable && !isDenied(error)) || isBroken(error)
}

/** True if a request that was sent, and failed so, may have been carried out. */
export function isDoubtful(error: unknown): boolean {
  return error instanceof Refusal ? DOUBTFUL.has(error.id) : !(error instanceof Unreachable)
}

/** The error for a caller; `what` completes "cannot ...". What is no failure of Kafka's stays as it is. */
export function kafkaError(what: string, error: unknown): unknown {
  if (isDenied(error)) {
    return new TidemarkError('DENIED', `cannot ${what}: ${reasonOf(error)}`, {}, error)
  }
  if (error instanceof Refusal) {
    const code = CODES[error.id] ?? (PASSING.has(error.id) ? 'UNAVAILABLE' : 'INVALID_ARGUMENT')
    return new TidemarkError(code, `cannot ${what}: ${error.message}`, {}, error)
  }
  const isNoAnswer =
    error instanceof Unreachable || error instanceof Expired || error instanceof Garbled
  if (isNoAnswer || isOfClient(error)) {
    return new TidemarkError('UNAVAILABLE', `cannot ${what}: ${reasonOf(error)}`, {}, error)
  }
  return error
}

/** The response in the client's error about what stands in it, or undefined. */
export function responseIn(error: unknown): unknown {
  return codeOf(error) === 'PLT_KFK_RESPONSE'
    ? (error as { response?: unknown }).response
    : undefined
}

/** Throws what an answer says that is not a success. */
export function checkAnswer(client: Client, code: number, detail?: string | null): void {
  if (code === 0) return
  const names = client.protocolErrorsCodesById as Readonly<Record<number, string>>
  throw new Refusal(names[code] ?? `error ${code}`, detail)
}

/** The messages of an error and of what it came from, those that say more last. */
function reasonOf(error: unknown): string {
  const reasons: string[] = []
  for (let each = error; each instanceof Error; each = each.cause) {
    if (!reasons.includes(each.message)) reasons.push(each.message)
    if (each.cause === undefined && each instanceof AggregateError) {
      reasons.push(...each.errors.map((inner: Error) => inner.message))
    }
  }
  return reasons.filter((reason) => reason !== '').join(': ')
}

function isDenied(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (codeOf(each) === 'PLT_KFK_AUTHENTICATION') return true
    if (/certificate|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME|alert/i.test(codeOf(each) ?? ''))
      return true
    if (each instanceof Refusal && CODES[each.id] === 'DENIED') return true
  }
  return false
}

/** True for a connection that broke, was never there, or that an answer did not come by. */
export function isBroken(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'PLT_KFK_NETWORK' || code === 'PLT_KFK_TIMEOUT'
}

/** True for what the client says, such as that an answer is not one of Kafka's. */
export function isOfClient(error: unknown): boolean {
  return codeOf(error)?.startsWith('PLT_KFK_') ?? false
}

function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}
