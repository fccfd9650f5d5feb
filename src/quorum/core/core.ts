import {
  campaign,
  enterLaterTerm,
  isLeased,
  onOwnVote,
  onPatienceLost,
  onUnreachable,
  onVoteReply,
  onVoteRequest,
  rest,
  stepDown,
} from './election.ts'
import { onAppend, onCommitted, onHeartbeat, onSnapshot } from './following.ts'
import type {
  CoreSettings,
  CoreStart,
  Input,
  Output,
  Proposal,
  Refusal,
  Role,
} from './interface.ts'
import { leadingOf } from './leading.ts'
import type { Hole } from './log-view.ts'
import { isJoint, isVoter, type Members, towards } from './members.ts'
import { onRepair, onRepairReply } from './mending.ts'
import type { Message, MessageOf, Point, ReplicaId } from './messages.ts'
import { askAgain, onRead, onReadMessage, onReadReply } from './reading.ts'
import { sendHeartbeats, sendToAll } from './replication.ts'
import { onAppendReply, onHeartbeatReply, onSnapshotSent } from './replies.ts'
import { CoreState } from './state.ts'
import { afterProgress, appendMembers, continueTransfer, hearsQuorum } from './tenure.ts'

/** What may be known of a replica by looking at it. */
export interface Status {
  readonly id: ReplicaId
  readonly role: Role
  readonly term: number
  readonly vote: ReplicaId
  readonly leader: ReplicaId
  readonly last: Point
  readonly low: number
  readonly committed: number
  readonly stable: number
  readonly members: Members
  readonly holes: readonly Hole[]
  readonly promised: Point | undefined
  /** Leader only: nothing that others have shown is above its committed mark any more. */
  readonly isReady: boolean
  /** The members in force are known to be committed, and are no joint configuration. */
  readonly isSettled: boolean
  readonly hasFailed: boolean
}

/**
 * Raft for one replica of one log, as a function of what it is told: pure, synchronous and without a
 * clock. The host gives it everything that happens, one step at a time, and does what comes out: the
 * disk's work strictly in order, the messages at once.
 *
 * After the Raft paper and thesis (Ongaro, 2014), with the leader's disk in parallel to the network,
 * pre-votes, check-quorum, and joint configurations that are in force when they are appended. Impossible
 * states throw InvariantError, and the replica must not go on then.
 */
export class RaftCore {
  readonly #state: CoreState

  constructor(settings: CoreSettings, start: CoreStart) {
    this.#state = new CoreState(settings, start)
    rest(this.#state)
  }

  get status(): Status {
    const { id, role, term, vote, leader, log, configurations, promised, hasFailed } = this.#state
    const { last, committed, stable, holes } = log
    const { members } = configurations
    const { leading } = this.#state
    const isReady = leading !== undefined && committed >= leading.ownMark
    const isSettled = isChangeOver(this.#state)
    const marks = { last, low: log.low.mark, committed, stable }
    const said = { members, isSettled, holes, promised, isReady, hasFailed }
    return { id, role, term, vote, leader, ...marks, ...said }
  }

  /** Of {@link status}, what is asked at every step. */
  get role(): Role {
    return this.#state.role
  }

  get term(): number {
    return this.#state.term
  }

  get leader(): ReplicaId {
    return this.#state.leader
  }

  /** Everything below is committed and on this disk. */
  get shown(): number {
    const { committed, stable } = this.#state.log
    return Math.min(committed, stable)
  }

  /** How far each of the others has got, as far as a leader knows; empty elsewhere. */
  get progress(): ReadonlyMap<ReplicaId, { readonly match: number; readonly state: string }> {
    return this.#state.leading?.progress ?? new Map()
  }

  step(input: Input): Output {
    if (!this.#state.hasFailed) dispatch(this.#state, input)
    else if ('id' in input) this.#state.refuse(input.id, 'failed')
    return this.#state.take()
  }
}

type Handlers<T extends { readonly kind: string }> = {
  readonly [K in T['kind']]: (state: CoreState, it: Extract<T, { readonly kind: K }>) => void
}

const INPUTS: Handlers<Input> = {
  tick: onTick,
  message: (state, { from, message }) => onMessage(state, from, message),
  propose: onPropose,
  change: (state, { id, target }) => onChange(state, id, target),
  read: (state, { id }) => onRead(state, id),
  transfer: (state, { to }) => onTransfer(state, to),
  committed: (state, { point }) => onCommitted(state, point),
  unreachable: (state, { id }) => onUnreachable(state, id),
  campaign: (state) => campaign(state, false),
  persisted: (state, { number }) => onPersisted(state, number),
  'io-error': (state) => {
    stepDown(state)
    state.hasFailed = true
  },
  fetched: (state) => {
    if (state.role === 'leader') sendToAll(state)
  },
  'snapshot-sent': (state, { to, ok }) => onSnapshotSent(state, to, ok),
  trim: (state, { mark }) => {
    if (state.role === 'leader') state.trim(mark)
  },
}

function dispatch(state: CoreState, input: Input): void {
  const handle = INPUTS[input.kind] as (state: CoreState, input: Input) => void
  handle(state, input)
}

function onTick(state: CoreState): void {
  state.elapsed++
  if (state.role !== 'leader') {
    if (state.elapsed >= state.patience) onPatienceLost(state)
    else if (++state.sinceAsked >= state.settings.heartbeatTicks) askAgain(state)
    return
  }
  const leading = leadingOf(state)
  const { electionTicks, heartbeatTicks } = state.settings
  if (leading.transfer && ++leading.transfer.ticks >= electionTicks) leading.transfer = undefined
  if (state.elapsed >= electionTicks) {
    state.elapsed = 0
    // Who hears of no quorum may be led by nobody while another leads them (thesis, 6.2).
    if (!hearsQuorum(state)) {
      stepDown(state)
      return
    }
  }
  if (++leading.sinceHeartbeat >= heartbeatTicks) sendHeartbeats(state)
}

/** Messages that ask for what is the same in every term. */
const TERMLESS: ReadonlySet<Message['kind']> = new Set(['repair', 'repair-reply'])

const MESSAGES: {
  readonly [K in Message['kind']]: (state: CoreState, from: ReplicaId, it: MessageOf<K>) => void
} = {
  'pre-vote': onVoteRequest,
  vote: onVoteRequest,
  'pre-vote-reply': onVoteReply,
  'vote-reply': onVoteReply,
  append: onAppend,
  'append-reply': (state, from, reply) => {
    if (state.role === 'leader') onAppendReply(state, from, reply)
  },
  heartbeat: onHeartbeat,
  'heartbeat-reply': (state, from, reply) => {
    if (state.role === 'leader') onHeartbeatReply(state, from, reply)
  },
  snapshot: onSnapshot,
  transfer: (state) => campaign(state, true),
  read: onReadMessage,
  'read-reply': (state, _from, reply) => onReadReply(state, reply),
  repair: onRepair,
  'repair-reply': (state, _from, reply) => onRepairReply(state, reply),
}

function onMessage(state: CoreState, from: ReplicaId, message: Message): void {
  const isTermless = TERMLESS.has(message.kind)
  if (!isTermless && message.term < state.term) {
    onEarlierTerm(state, from, message)
    return
  }
  if (!isTermless && message.term > state.term && !meetLaterTerm(state, message)) return
  const handle = MESSAGES[message.kind] as typeof onVoteRequest & typeof onAppend
  handle(state, from, message as never)
}

/** A message of a later term. False if it is to be passed over. */
function meetLaterTerm(state: CoreState, message: Message): boolean {
  if (message.kind === 'pre-vote' || message.kind === 'vote') {
    // Who hears of a leader does not help to replace it, unless the leader itself asks for it.
    if (!message.transfer && isLeased(state)) return false
    if (message.kind === 'pre-vote') return true
  }
  if (message.kind === 'pre-vote-reply' && message.granted) {
    return message.term === state.term + 1
  }
  enterLaterTerm(state, message.term)
  return true
}

/** Its sender has missed a term. It is told, where it would not find out by itself. */
function onEarlierTerm(state: CoreState, from: ReplicaId, message: Message): void {
  const { term } = state
  if (message.kind === 'append' || message.kind === 'snapshot') {
    const mark = message.kind === 'append' ? message.prev.mark : message.point.mark
    const { session } = message
    const hint = { term: 0, mark: 0 }
    const reply = { session, matched: false, mark, hint, damaged: false }
    state.send(from, { kind: 'append-reply', term, ...reply })
  } else if (message.kind === 'heartbeat') {
    state.send(from, { kind: 'heartbeat-reply', term, round: 0, isWhole: true })
  } else if (message.kind === 'pre-vote') {
    state.send(from, { kind: 'pre-vote-reply', term, granted: false })
  }
}

function onPropose(state: CoreState, proposal: Proposal): void {
  const why = whyNotPropose(state, proposal)
  if (why) state.refuse(proposal.id, why)
  else propose(state, proposal)
}

function whyNotPropose({ leading, settings }: CoreState, { bytes }: Proposal): Refusal | undefined {
  if (!leading) return 'not-leader'
  if (leading.transfer) return 'transferring'
  const isFull = leading.uncommittedBytes + bytes > settings.uncommittedBytesMax
  return isFull && leading.uncommittedBytes > 0 ? 'overloaded' : undefined
}

function propose(state: CoreState, { id, offsets, bytes, payload, acks }: Proposal): void {
  const leading = leadingOf(state)
  const start = state.log.last.mark
  const end = start + offsets
  state.append([{ term: state.term, start, end, bytes, kind: 'data', payload }])
  leading.pending.push({ id, start, end, bytes, acks })
  leading.uncommittedBytes += bytes
  if (acks === 'none') state.finish({ id, start, end })
  sendToAll(state)
}

/**
 * One change at a time, and none before the leader has committed in its own term: a change that an earlier
 * leader began may still become committed, and two that differ would have majorities without a common
 * member (Ongaro, 2015).
 */
function onChange(state: CoreState, id: number, target: Members): void {
  const why = whyNotChange(state)
  if (why) {
    state.refuse(id, why)
    return
  }
  const { configurations, log } = state
  const leading = leadingOf(state)
  const { members } = configurations
  const start = log.last.mark
  leading.pending.push({ id, start, end: start + 1, bytes: 0, acks: 'quorum' })
  appendMembers(state, towards(members, target))
}

function whyNotChange(state: CoreState): Refusal | undefined {
  const { leading, log } = state
  if (!leading) return 'not-leader'
  return isChangeOver(state) && log.committed >= leading.ownMark ? undefined : 'changing'
}

function isChangeOver({ configurations, log }: CoreState): boolean {
  const { latest, members } = configurations
  return latest.point.mark <= log.committed && !isJoint(members)
}

function onTransfer(state: CoreState, to: ReplicaId): void {
  const { leading, configurations } = state
  if (!leading || to === state.id || !isVoter(configurations.members, to)) return
  leading.transfer = { to, ticks: 0 }
  continueTransfer(state)
}

/** Work is on the disk: what it makes true is counted, and what waited for it leaves. */
function onPersisted(state: CoreState, number: number): void {
  const { term, vote, end, filled, messages } = state.io.done(number)
  state.release(messages)
  state.durableTerm = term
  state.log.persisted(end)
  if (filled) state.log.filled(filled)
  state.forgetPromise()
  onOwnVote(state, term, vote)
  if (state.role === 'leader') afterProgress(state)
}
