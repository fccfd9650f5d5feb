import { invariant } from '../../base/index.ts'
import { Configurations } from './configurations.ts'
import { CoreLog } from './core-log.ts'
import type { CoreSettings, CoreStart, Done, Output, Refusal, Role } from './interface.ts'
import { IoQueue, type Persist } from './io-queue.ts'
import type { Leading } from './leading.ts'
import type { HardState, Hole } from './log-view.ts'
import type { Mending } from './mending.ts'
import {
  type Batch,
  type Envelope,
  type Message,
  NOBODY,
  type Point,
  type ReplicaId,
  reaches,
  type Snapshot,
} from './messages.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Messages that say that something is durable here: they wait for the disk. */
const WAITS_FOR_DISK: ReadonlySet<Message['kind']> = new Set([
  'append-reply',
  'pre-vote-reply',
  'vote-reply',
])

/**
 * Everything that a replica knows and may change within a step, and what the step has found to do so far.
 */
export class CoreState {
  readonly settings: CoreSettings
  readonly log: CoreLog
  readonly configurations: Configurations
  readonly io = new IoQueue()

  /** Never decreases. */
  term: number
  /** Invariant: set at most once in a term. */
  vote: ReplicaId
  /** See {@link HardState.promised}. Invariant: log.last does not reach it while it is set. */
  promised: Point | undefined
  role: Role = 'follower'
  /** Whom this replica follows in this term. Invariant: one leader for a term. */
  leader: ReplicaId = NOBODY
  /** Ticks since this replica heard of a leader, voted, or stood for election; as a leader, since it last counted. */
  elapsed = 0
  /** Invariant: from electionTicks to twice that, drawn anew with each change of role. */
  patience = 0
  /** Who has answered in the election under way. */
  votes = new Map<ReplicaId, boolean>()
  /** What only a leader has. Invariant: there exactly while role is leader. */
  leading: Leading | undefined
  /** The repair of the first hole. Invariant: only while there is a hole. */
  mending: Mending | undefined
  /** Reads that were passed on to the leader; and the ticks since then. */
  readonly asked = new Set<number>()
  sinceAsked = 0
  /** The disk has failed. Nothing is said any more. */
  hasFailed = false
  /** What the disk will have once all work at it is done; and what it has. */
  #hardIsDirty = false
  durableTerm: number
  /** As the disk will have it: it goes when the log has reached there on the disk, and not before. */
  #promisedOnDisk: Point | undefined
  #work: Mutable<Persist> | undefined
  #filled: Hole | undefined
  #messages: Envelope[] = []
  /** Messages whose work the disk has done. */
  readonly #released: Envelope[] = []
  #shown: number
  #done: Done[] = []
  #reads: { id: number; mark: number }[] = []
  #refused: { id: number; why: Refusal }[] = []

  constructor(settings: CoreSettings, { hard, log, view }: CoreStart) {
    this.settings = settings
    this.term = hard.term
    this.durableTerm = hard.term
    this.vote = hard.vote
    this.log = new CoreLog(view, log)
    this.configurations = new Configurations(hard.configurations, this.log)
    this.#shown = log.commit
    this.#promisedOnDisk = hard.promised
    this.promised = this.#promise(hard, log)
    invariant(hard.term >= log.last.term, `term ${hard.term} is not below that of the log`)
  }

  get id(): ReplicaId {
    return this.settings.id
  }

  /** What this replica's log reached when it was whole, so far as anyone was told: its word in an election. */
  get claim(): Point {
    return this.promised ?? this.log.last
  }

  /** True if nothing that this replica once had synced is missing. */
  get isWhole(): boolean {
    return this.log.isWhole && this.promised === undefined
  }

  /** True if this step already fills a hole: another one waits for the next. */
  get isFilling(): boolean {
    return this.#filled !== undefined
  }

  send(to: ReplicaId, message: Message): void {
    invariant(to !== this.id && to !== NOBODY, `nothing is sent to ${to}`)
    this.#messages.push({ to, message })
  }

  refuse(id: number, why: Refusal): void {
    this.#refused.push({ id, why })
  }

  finish(done: Done): void {
    this.#done.push(done)
  }

  answerRead(id: number, mark: number): void {
    this.#reads.push({ id, mark })
  }

  /** Enters a term, with no vote in it yet. */
  enterTerm(term: number, vote: ReplicaId): void {
    invariant(term > this.term, `term ${term} follows ${this.term}`)
    this.term = term
    this.vote = vote
    this.#hardIsDirty = true
  }

  voteFor(id: ReplicaId): void {
    invariant(this.vote === NOBODY || this.vote === id, `one vote in term ${this.term}`)
    this.#hardIsDirty ||= this.vote !== id
    this.vote = id
  }

  /**
   * Where the log had reached, if it does not any more. Of what damage took from its end the term is not
   * known, but it was not above the term of the replica.
   */
  #promise({ promised, term }: HardState, { last, lostEnd }: CoreStart['log']): Point | undefined {
    const lost = lostEnd === undefined ? undefined : { term, mark: lostEnd }
    const highest = promised && !(lost && reaches(lost, promised)) ? promised : lost
    if (!highest || reaches(last, highest)) return undefined
    this.#hardIsDirty = highest !== promised
    return highest
  }

  /** Appends batches to the log, here and on the disk. */
  append(batches: readonly Batch[]): void {
    if (batches.length === 0) return
    this.log.append(batches)
    if (this.configurations.appended(batches)) this.#hardIsDirty = true
    const work = this.#dirty()
    work.batches = [...work.batches, ...batches]
    this.#keepWord(this.claim)
  }

  /** This replica has spoken of a log that reached `claim`, and abides by it until its log reaches it again. */
  #keepWord(claim: Point): void {
    const promised = reaches(this.log.last, claim) ? undefined : claim
    if (promised === this.promised) return
    this.promised = promised
    if (promised) this.#hardIsDirty = true
  }

  /** A piece of work is on the disk. A promise that was kept with it is not needed there any more. */
  forgetPromise(): void {
    if (!this.promised && this.#promisedOnDisk && this.#isKeptOnDisk()) this.#hardIsDirty = true
  }

  /** True if what the disk has of the log would do without the promise that is beside it. */
  #isKeptOnDisk(): boolean {
    const mark = this.log.onDisk
    const term = this.log.termAt(mark)
    const promised = this.#promisedOnDisk
    return term !== undefined && (!promised || reaches({ term, mark }, promised))
  }

  /** Cuts the log. What was reported above the mark before does not count any more. */
  truncate(mark: number): void {
    invariant(!this.#work?.batches.length, 'a cut comes before what is appended')
    this.log.truncate(mark)
    this.configurations.cut(mark)
    this.io.cut(mark)
    this.mending = undefined
    this.#dirty().truncate = mark
  }

  /**
   * Fills in what is known of a hole, and cuts the log behind that. What was lost in the rest may have been
   * counted by somebody.
   */
  giveUp(hole: Hole, kept: readonly Batch[]): void {
    const { claim } = this
    if (kept.length > 0) this.fill(hole, kept)
    this.truncate(kept.at(-1)?.end ?? hole.from)
    this.#keepWord(claim)
  }

  reset({ point, configuration }: Snapshot): void {
    // Of a damaged log more may be lost with it than differed from the leader's.
    const claim = this.isWhole ? point : this.claim
    this.configurations.reset(configuration, point.mark)
    this.#filled = this.log.reset(point)
    this.#shown = Math.min(this.#shown, point.mark)
    this.#keepWord(claim)
    this.io.cut(point.mark)
    this.mending = undefined
    this.#hardIsDirty = true
    this.#dirty().reset = point
  }

  fill(damaged: Hole, batches: readonly Batch[]): void {
    const hole = this.log.know(damaged, batches)
    this.configurations.mended(this.log)
    this.mending = undefined
    this.#filled = hole
    this.#dirty().fill = { hole, batches }
  }

  /** Forgets what lies below the mark, if that is not above the high-water mark here. */
  trim(mark: number): void {
    if (mark <= this.log.low.mark || mark > this.#showable) return
    const hole = this.log.holes.find(({ from, to }) => from < mark && mark < to)
    if (hole) {
      // Within a hole no term is known.
      this.trim(hole.from)
      return
    }
    // What is being filled is shown once it is there, and nothing is trimmed before it could be shown.
    if (this.log.isFilling(mark)) return
    if (this.configurations.trim(mark)) this.#hardIsDirty = true
    this.configurations.forget(mark)
    this.log.trim(mark)
    if (this.mending && !this.log.holes.includes(this.mending.hole)) this.mending = undefined
    this.#dirty().trim = mark
  }

  /** Ends the step: everything that it has found to do, in the order in which it is safe. */
  take(): Output {
    const persist = this.#takeWork()
    const messages = this.#takeMessages()
    const shown = this.#showable
    const commit = shown > this.#shown ? shown : undefined
    this.#shown = shown
    const output = {
      persist,
      messages,
      commit,
      done: this.#done,
      reads: this.#reads,
      refused: this.#refused,
    }
    this.#done = []
    this.#reads = []
    this.#refused = []
    return output
  }

  /** Messages that waited for the disk leave with this step. */
  release(messages: readonly Envelope[]): void {
    this.#released.push(...messages)
  }

  /** The high-water mark: what is committed and on the disk, and what was shown before damage was found below. */
  get #showable(): number {
    return Math.max(this.#shown, Math.min(this.log.committed, this.log.onDisk))
  }

  #dirty(): Mutable<Persist> {
    this.#work ??= { number: 0, batches: [] }
    return this.#work
  }

  #takeWork(): Persist | undefined {
    if (!this.#work && !this.#hardIsDirty) return undefined
    const work = this.#dirty()
    if (this.#hardIsDirty) work.hard = this.#hard()
    work.number = this.io.issue({
      term: this.term,
      vote: this.vote,
      end: this.log.last.mark,
      filled: this.#filled,
      messages: [],
    })
    this.#work = undefined
    this.#filled = undefined
    this.#hardIsDirty = false
    return work
  }

  /**
   * What says that something is durable waits for the disk. So does everything else while the term itself
   * is not there: no word of a term before it cannot be forgotten.
   */
  #takeMessages(): Envelope[] {
    const waits = ({ message }: Envelope) =>
      this.durableTerm < this.term || WAITS_FOR_DISK.has(message.kind)
    const all = this.#messages
    this.#messages = []
    if (all.length === 0 && this.#released.length === 0) return all
    const now = this.#released.splice(0)
    if (this.io.isIdle) return [...now, ...all]
    this.io.follow(all.filter(waits))
    return [...now, ...all.filter((each) => !waits(each))]
  }

  #hard(): HardState {
    const { term, vote } = this
    // It is written before the batches of the same piece, so these do not count yet.
    const kept = this.#isKeptOnDisk() ? undefined : this.#promisedOnDisk
    const promised = this.promised ?? kept
    this.#promisedOnDisk = promised
    return { term, vote, promised, configurations: this.configurations.remembered }
  }
}
