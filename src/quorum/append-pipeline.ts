import { invariant, TidemarkError } from '../base/index.ts'
import type { Cancel, Clock } from '../io/index.ts'
import { type Acks, NOBODY, type Point, type ReplicaId } from './core/index.ts'
import { Disconnected } from './requests.ts'
import {
  type AppendGroup,
  type AppendOutcome,
  type BatchEntry,
  bytesOf,
  offsetsOf,
} from './wire/index.ts'

export interface PipelineSettings {
  /** What is not appended after so long is given up, in ms. */
  readonly timeoutMs: number
  /** So many bytes are gathered into one group, unless one append alone is larger. */
  readonly groupBytesMax: number
  /** The most groups that a leader has been sent and has not answered. */
  readonly underWayMax: number
  /** The most bytes that wait for an answer. */
  readonly waitingBytesMax: number
}

export interface PipelineParts {
  /** For messages. */
  readonly name: string
  readonly session: number
  readonly clock: Clock
  /** Who leads, as far as is known here. */
  readonly leader: () => ReplicaId
  /** What is certainly committed. */
  readonly committed: () => number
  /** A batch is committed that ends at this point. */
  readonly onCommitted?: (point: Point) => void
  /** Calls `tell` when what is below the mark can be read where it was appended: at once, if this is left out. */
  readonly whenHere?: (mark: number, tell: () => void) => void
  /** Asks a leader, this member itself perhaps; groups get there in the order of the calls, or not at all. */
  readonly send: (to: ReplicaId, group: AppendGroup) => Promise<AppendOutcome>
}

interface Waiter {
  /** Of its first entry and of its last one, from the start of the group. */
  readonly first: number
  readonly last: number
  readonly resolve: (range: { first: number; last: number }) => void
  readonly reject: (error: unknown) => void
}

interface Group {
  readonly acks: Acks
  readonly entries: BatchEntry[]
  readonly waiters: Waiter[]
  readonly deadline: number
  readonly since: number
  request: number
  offsets: number
  bytes: number
  /** Counts the times that it was sent: what an earlier one brings does not count against a later. */
  attempt: number
  isUnderWay: boolean
  /** Of those times, how often it may have been taken. */
  open: number
}

/** So many offsets fit into a segment as one batch, with its receipt. */
export const GROUP_OFFSETS_MAX = 2 ** 31

/** Waits that follow a refusal, in ms: the first, and the longest. */
const PAUSE_MS = 5
const PAUSE_MS_MAX = 200

/** A group that waits is joined for so long. */
const JOIN_MS = 50

/**
 * The appender's side of appends to a log: gathers those of the same moment into groups, sends them to whoever leads, in
 * order and many at a time, and again to the next leader when the first has gone.
 *
 * Invariant: groups come to stand in the log in the order of the calls, each once.
 */
export class AppendPipeline {
  readonly #parts: PipelineParts
  readonly #settings: PipelineSettings
  /** Not settled, in order. */
  #groups: Group[] = []
  /** Those before it have been sent in this stream. */
  #sent = 0
  #bytes = 0
  #requests = 0
  #committed = 0
  #isGathering = false
  #stream = 0
  #place = 0
  /** Whom the stream goes to; undefined between streams. */
  #target: ReplicaId | undefined
  #hint: ReplicaId = NOBODY
  #pauseMs = PAUSE_MS
  #cancelPause: Cancel | undefined
  #cancelDeadline: Cancel | undefined
  #isClosed = false
  #idle: (() => void)[] = []

  constructor(parts: PipelineParts, settings: PipelineSettings) {
    this.#parts = parts
    this.#settings = settings
  }

  /**
   * Resolves with the offsets of the first and last entry. Rejects with OVERLOADED, UNAVAILABLE (it is certainly not
   * appended), UNCERTAIN or CLOSED.
   */
  append(entries: readonly BatchEntry[], acks: Acks): Promise<{ first: number; last: number }> {
    if (this.#isClosed) return Promise.reject(this.#closed())
    const bytes = bytesOf(entries)
    if (this.#bytes > 0 && this.#bytes + bytes > this.#settings.waitingBytesMax) {
      const text = `${this.#bytes} bytes wait to be appended to ${this.#parts.name}`
      return Promise.reject(new TidemarkError('OVERLOADED', text))
    }
    return new Promise((resolve, reject) => {
      const offsets = offsetsOf(entries)
      const group = this.#groupFor(bytes, offsets, acks)
      const first = group.offsets
      group.offsets += offsets
      const last = group.offsets - entries.at(-1)!.count
      group.waiters.push({ first, last, resolve, reject })
      for (const entry of entries) group.entries.push(entry)
      group.bytes += bytes
      this.#bytes += bytes
    })
  }

  /** Bytes that wait for an answer. */
  get waitingBytes(): number {
    return this.#bytes
  }

  /** Something has happened that may have changed who leads. */
  leaderChanged(): void {
    if (this.#groups.length === 0 || this.#parts.leader() === this.#target) return
    this.#pauseMs = PAUSE_MS
    this.#endPause()
    // It may be told within a step of the leader, which would take what is sent only behind it.
    this.#gather()
  }

  /** Resolves when everything that was appended before is settled. */
  idle(): Promise<void> {
    if (this.#groups.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  /** Gives up what is not settled. */
  close(): void {
    this.#isClosed = true
    this.#endPause()
    this.#cancelDeadline?.()
    for (const group of [...this.#groups]) this.#fail(group, this.#closed())
  }

  #closed(): TidemarkError {
    return new TidemarkError('CLOSED', `the log ${this.#parts.name} is closed`)
  }

  #groupFor(bytes: number, offsets: number, acks: Acks): Group {
    const open = this.#groups.at(-1)
    const { groupBytesMax, timeoutMs } = this.#settings
    const { clock } = this.#parts
    // Nobody's time is cut short by who came long before.
    const isYoung = open && open.deadline - clock.monotonic() > timeoutMs - JOIN_MS
    const isOpen = isYoung && open.attempt === 0 && open.acks === acks
    const hasRoom = isOpen && open.offsets + offsets <= GROUP_OFFSETS_MAX
    if (hasRoom && open.bytes + bytes <= groupBytesMax) return open
    const group: Group = {
      acks,
      entries: [],
      waiters: [],
      deadline: this.#parts.clock.monotonic() + timeoutMs,
      since: Math.max(this.#committed, this.#parts.committed()),
      request: ++this.#requests,
      offsets: 0,
      bytes: 0,
      attempt: 0,
      isUnderWay: false,
      open: 0,
    }
    this.#groups.push(group)
    this.#gather()
    this.#watchDeadline()
    return group
  }

  /** Those who were answered together ask again together. */
  #gather(): void {
    if (this.#isGathering) return
    this.#isGathering = true
    void this.#parts.clock.settled().then(() => {
      this.#isGathering = false
      this.#pump()
    })
  }

  /** Sends what may be sent now. */
  #pump(): void {
    const isNow = !this.#isClosed && !this.#cancelPause && !this.#isGathering
    if (!isNow || this.#groups.length === 0) return
    const leader = this.#leader()
    if (leader === NOBODY) {
      this.#pause()
      return
    }
    if (leader !== this.#target) this.#beginStream(leader)
    let underWay = 0
    for (let i = 0; i < this.#sent; i++) if (this.#groups[i]!.isUnderWay) underWay++
    while (this.#sent < this.#groups.length && underWay < this.#settings.underWayMax) {
      const group = this.#groups[this.#sent]!
      this.#sent++
      underWay++
      this.#send(group, leader)
      // A refusal ends the stream within the call.
      if (this.#target === undefined) return
    }
  }

  #leader(): ReplicaId {
    const leader = this.#parts.leader()
    return leader === NOBODY ? this.#hint : leader
  }

  /** What an earlier leader was sent may have been taken: it is sent again, with that said. */
  #beginStream(leader: ReplicaId): void {
    this.#endStream()
    this.#target = leader
    this.#stream++
    this.#place = 0
  }

  #endStream(): void {
    this.#target = undefined
    this.#sent = 0
    for (const group of this.#groups) group.isUnderWay = false
  }

  #send(group: Group, to: ReplicaId): void {
    const { request, since, acks, entries } = group
    const isRepeated = group.open++ > 0
    const attempt = ++group.attempt
    group.isUnderWay = true
    const stream = this.#stream
    const place = this.#place++
    const { session } = this.#parts
    this.#parts
      .send(to, { session, request, stream, place, since, isRepeated, acks, entries })
      .then(
        (outcome) => this.#settle(group, attempt, outcome),
        (error) => this.#settle(group, attempt, outcomeOf(error)),
      )
  }

  #settle(group: Group, attempt: number, outcome: AppendOutcome): void {
    if (!this.#groups.includes(group)) return
    if (outcome.kind === 'refused') group.open--
    if (outcome.kind === 'done') this.#done(group, outcome.start, outcome.term)
    else if (attempt === group.attempt && group.isUnderWay) this.#notDone(group, outcome)
  }

  #done(group: Group, start: number, term: number | undefined): void {
    // Behind the receipt, which ends the batch.
    const mark = start + group.offsets + 1
    if (term !== undefined) this.#parts.onCommitted?.({ term, mark })
    this.#remove(group)
    this.#pauseMs = PAUSE_MS
    this.#hint = NOBODY
    this.#committed = Math.max(this.#committed, group.acks === 'quorum' ? start : 0)
    const tell = () => {
      for (const { first, last, resolve } of group.waiters) {
        resolve({ first: start + first, last: start + last })
      }
    }
    if (group.acks === 'quorum' && this.#parts.whenHere) this.#parts.whenHere(mark - 1, tell)
    else tell()
    this.#pump()
  }

  #notDone(group: Group, outcome: AppendOutcome): void {
    if (outcome.kind === 'uncertain') {
      this.#fail(group, this.#uncertain('it was asked for again too late to tell'))
      this.#pump()
      return
    }
    group.isUnderWay = false
    if (outcome.kind === 'refused') this.#hint = outcome.leader
    this.#endStream()
    this.#pause()
  }

  #uncertain(why: string): TidemarkError {
    return new TidemarkError(
      'UNCERTAIN',
      `whether it was appended to ${this.#parts.name} is not known: ${why}`,
    )
  }

  /** Tries again after a while: longer each time. */
  #pause(): void {
    if (this.#cancelPause || this.#isClosed) return
    this.#cancelPause = this.#parts.clock.after(
      this.#pauseMs,
      () => {
        this.#cancelPause = undefined
        this.#pump()
      },
      true,
    )
    this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS_MAX)
  }

  #endPause(): void {
    this.#cancelPause?.()
    this.#cancelPause = undefined
  }

  #watchDeadline(): void {
    const first = this.#groups[0]
    if (this.#cancelDeadline || !first || this.#isClosed) return
    const ms = Math.max(0, first.deadline - this.#parts.clock.monotonic())
    this.#cancelDeadline = this.#parts.clock.after(ms, () => {
      this.#cancelDeadline = undefined
      this.#giveUpLate()
      this.#watchDeadline()
    })
  }

  #giveUpLate(): void {
    const now = this.#parts.clock.monotonic()
    const { timeoutMs } = this.#settings
    for (const group of this.#groups.filter(({ deadline }) => deadline <= now)) {
      this.#fail(
        group,
        group.open > 0
          ? this.#uncertain(`no answer within ${timeoutMs} ms`)
          : new TidemarkError(
              'UNAVAILABLE',
              `${this.#parts.name} has no leader that takes it within ${timeoutMs} ms: it is not appended`,
            ),
      )
    }
  }

  #fail(group: Group, error: TidemarkError): void {
    this.#remove(group)
    for (const { reject } of group.waiters) reject(error)
  }

  #remove(group: Group): void {
    const index = this.#groups.indexOf(group)
    invariant(index >= 0, `group ${group.request} is not settled twice`)
    this.#groups.splice(index, 1)
    if (index < this.#sent) this.#sent--
    this.#bytes -= group.bytes
    if (this.#groups.length > 0) return
    for (const resolve of this.#idle.splice(0)) resolve()
  }
}

/** What was never sent is certainly not taken. */
function outcomeOf(error: unknown): AppendOutcome {
  const wasSent = !(error instanceof Disconnected) || error.wasSent
  return wasSent ? { kind: 'lost' } : { kind: 'refused', leader: NOBODY }
}
