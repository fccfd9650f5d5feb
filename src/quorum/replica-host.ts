import { invariant, TidemarkError } from '../base/index.ts'
import type { Cancel, Clock, Random } from '../io/index.ts'
import type { Log } from '../log/index.ts'
import type { CatchUp } from './catch-up.ts'
import {
  type Acks,
  type CoreSettings,
  type Envelope,
  type HardState,
  type Input,
  type Members,
  type Message,
  membersOf,
  type Output,
  RaftCore,
  type Refusal,
  type ReplicaId,
  type Status,
} from './core/index.ts'
import { isCorrupt } from './damage-watch.ts'
import { DiskQueue } from './disk-queue.ts'
import { type Kept, Receipts } from './receipts.ts'
import { RecentBatches } from './recent-batches.ts'
import { storedLog } from './stored-log.ts'
import type { Ticker } from './ticker.ts'
import {
  type BatchEntry,
  bytesOf,
  encodeMembers,
  encodeReceipt,
  offsetsOf,
  type Receipt,
  TYPE_LEADER,
  TYPE_MEMBERS,
  TYPE_RECEIPT,
} from './wire/index.ts'

/** What drives a replica: how often, and with the limits of its core. */
export interface HostSettings extends Omit<CoreSettings, 'makeOwn' | 'random'> {
  /** Bytes of the last batches that are kept in memory for those who follow. */
  readonly recentBytesMax: number
}

export interface HostParts {
  /** Opened with `{ replica: true }`. The host does not close it. */
  readonly log: Log
  readonly hard: HardState
  /** Resolves when it is on the disk. */
  readonly saveHard: (hard: HardState) => Promise<void>
  readonly send: (envelope: Envelope) => void
  readonly clock: Clock
  readonly random: Random
  readonly ticker: Ticker
  /** Slows down what is read from the disk for those who are behind. */
  readonly catchUp?: CatchUp | undefined
  /** Called after each step, for those who look on. */
  readonly onStep?: ((input: Input, output: Output) => void) | undefined
  /** Damage was met in what somebody else wants to have. Without this it is a failure. */
  readonly onDamage?: ((error: TidemarkError) => void) | undefined
  /** The disk has failed, or the core has met what cannot be: the replica says nothing any more. */
  readonly onFailure: (error: unknown) => void
}

/** A proposal, read or change that did not come through. */
export class Refused extends Error {
  readonly why: Refusal

  constructor(why: Refusal) {
    super(`the replica refuses: ${why}`)
    this.name = 'Refused'
    this.why = why
  }
}

const OWN_TYPES: ReadonlySet<number> = new Set([TYPE_LEADER, TYPE_MEMBERS, TYPE_RECEIPT])

/** How many ids there are for one life before those of another may begin. */
const IDS_MAX = 2 ** 20

/** Who asked the core for something. Called within the step that has the answer. */
interface Asked {
  readonly done: (answer: { start: number; end: number }) => void
  readonly refused: (why: Refusal) => void
}

/**
 * Drives the core of one replica over its log: gives it messages, time and what the disk reports, one step at
 * a time, and does what comes out.
 */
export class ReplicaHost {
  readonly #parts: HostParts
  readonly #snapshotMs: number
  readonly #core: RaftCore
  readonly #disk: DiskQueue
  readonly #receipts: Receipts
  /** Who waits for marks to be committed, in no order. */
  #awaited: { readonly end: number; readonly answer: (ok: boolean) => void }[] = []
  readonly #asked = new Map<number, Asked>()
  readonly #inputs: Input[] = []
  #isStepping = false
  #isStopped = false
  /** Of this life only: an answer to a question of an earlier one is not taken for one of now. */
  #nextId: number
  #cancelTick: Cancel | undefined

  private constructor(
    settings: HostSettings,
    parts: HostParts,
    receipts: Receipts,
    core: (view: RecentBatches) => RaftCore,
  ) {
    this.#parts = parts
    this.#nextId = parts.random.uint32() * IDS_MAX + 1
    this.#snapshotMs = parts.ticker.tickMs * settings.electionTicks
    this.#receipts = receipts
    const onFetched = (error?: unknown) => {
      const { onDamage } = parts
      if (error === undefined) this.step({ kind: 'fetched' })
      else if (isCorrupt(error) && onDamage) onDamage(error)
      else this.#fail(error)
    }
    const recent = new RecentBatches(parts.log, settings.recentBytesMax, onFetched, parts.catchUp)
    this.#core = core(recent)
    this.#disk = new DiskQueue({
      log: parts.log,
      saveHard: parts.saveHard,
      recent,
      receipts,
      onDone: (number) => this.step({ kind: 'persisted', number }),
      onError: (error) => this.#fail(error),
    })
  }

  static async start(settings: HostSettings, parts: HostParts): Promise<ReplicaHost> {
    const { clock, random, hard } = parts
    const log = await storedLog(parts.log)
    const coreSettings: CoreSettings = { ...settings, random, makeOwn: makeOwn(clock) }
    const receipts = await Receipts.load(parts.log, log)
    const host = new ReplicaHost(
      settings,
      parts,
      receipts,
      (view) => new RaftCore(coreSettings, { hard, log, view }),
    )
    host.#cancelTick = parts.ticker.add(() => host.step({ kind: 'tick' }))
    return host
  }

  get status(): Status {
    return this.#core.status
  }

  get isLeader(): boolean {
    return this.#core.role === 'leader'
  }

  get term(): number {
    return this.#core.term
  }

  /** Who leads in this term, as far as is known here. */
  get leader(): ReplicaId {
    return this.#core.leader
  }

  /** How far the others are, if this replica leads. */
  get progress(): RaftCore['progress'] {
    return this.#core.progress
  }

  receive(from: ReplicaId, message: Message): void {
    this.step({ kind: 'message', from, message })
  }

  /**
   * Resolves with where the entries lie once they are as safe as asked for; rejects with {@link Refused}, or with
   * INVALID_ARGUMENT if there are none, or one is of a type that the quorum keeps for itself.
   */
  propose(entries: readonly BatchEntry[], acks: Acks): Promise<{ start: number; end: number }> {
    if (entries.length === 0) return invalid('a batch without entries')
    const own = entries.find(({ type }) => OWN_TYPES.has(type))
    if (own) return invalid(`type ${own.type} is the quorum’s own`)
    return this.#ask((id) => proposal(id, entries, acks))
  }

  /**
   * Proposes entries that nobody checks, with a receipt behind them. One of the two is called: within this call if the
   * replica does not take them.
   */
  submit(entries: readonly BatchEntry[], receipt: Receipt, acks: Acks, asked: Asked): void {
    const timestamp = entries[0]!.timestamp
    const own = { type: TYPE_RECEIPT, timestamp, count: 1, data: encodeReceipt(receipt) }
    this.#put(asked, (id) => proposal(id, [...entries, own], acks))
  }

  /** An append that is in the log of this replica, committed or not. */
  find(receipt: Receipt): Kept | undefined {
    return this.#receipts.find(receipt)
  }

  /** Of everything that was appended above the mark {@link find} knows. */
  get covered(): number {
    return this.#receipts.covered
  }

  /** Answers once everything below `end` is committed and on this disk; with false if this replica leads no more. */
  whenCommitted(end: number, answer: (ok: boolean) => void): void {
    this.#awaited.push({ end, answer })
    this.#answerAwaited()
  }

  /**
   * Resolves when the first step of the change is committed. Rejects with INVALID_ARGUMENT if nobody had a vote, or if
   * the members could not be: the core must never meet them.
   */
  change({ voters, outgoing, learners }: Members): Promise<{ start: number; end: number }> {
    if (voters.length === 0) return invalid('members without a voter')
    if (outgoing.length > 0) return invalid('a change to a joint configuration')
    let target: Members
    try {
      target = membersOf(voters, learners)
      // On the way there the voters of now are listed too.
      encodeMembers({ ...target, outgoing: this.#core.status.members.voters })
    } catch (error) {
      return invalid((error as Error).message)
    }
    return this.#ask((id) => ({ kind: 'change', id, target }))
  }

  /** Resolves with a mark below which everything is that anyone was told of before the call. */
  async readIndex(): Promise<number> {
    return (await this.#ask((id) => ({ kind: 'read', id }))).end
  }

  /** One step of the core, and what follows from it. A step that is called for within one comes after it. */
  step(input: Input): void {
    if (this.#isStopped) return
    this.#inputs.push(input)
    if (this.#isStepping) return
    this.#isStepping = true
    try {
      for (let next = this.#inputs.shift(); next; next = this.#inputs.shift()) {
        if (this.#isStopped) return
        const output = this.#core.step(next)
        this.#perform(output)
        this.#answerAwaited()
        this.#parts.onStep?.(next, output)
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#isStepping = false
    }
  }

  /** Takes no more steps. Resolves when the disk has done what it was given. */
  async stop(): Promise<void> {
    this.#end()
    await this.#disk.idle()
  }

  #perform(output: Output): void {
    const { persist, messages, commit, done, reads, refused } = output
    // The mark first: a trim may go as far as what is shown.
    if (commit !== undefined) this.#parts.log.replica.commit(commit)
    if (persist) this.#disk.perform(persist)
    for (const envelope of messages) this.#send(envelope)
    for (const { id, start, end } of done) this.#answer(id).done({ start, end })
    for (const { id, mark } of reads) this.#answer(id).done({ start: mark, end: mark })
    for (const { id, why } of refused) this.#answer(id).refused(why)
  }

  #send(envelope: Envelope): void {
    this.#parts.send(envelope)
    const { to, message } = envelope
    if (message.kind !== 'snapshot') return
    // Whether it got there shows with what is sent next.
    this.#parts.clock.after(this.#snapshotMs, () => {
      this.step({ kind: 'snapshot-sent', to, ok: true })
    })
  }

  #ask(input: (id: number) => Input): Promise<{ start: number; end: number }> {
    return new Promise((resolve, reject) => {
      this.#put({ done: resolve, refused: (why) => reject(new Refused(why)) }, input)
    })
  }

  #put(asked: Asked, input: (id: number) => Input): void {
    if (this.#isStopped) {
      asked.refused('failed')
      return
    }
    const id = this.#nextId++
    this.#asked.set(id, asked)
    this.step(input(id))
  }

  #answerAwaited(): void {
    if (this.#awaited.length === 0) return
    const { role, shown } = this.#core
    const isLost = this.#isStopped || role !== 'leader'
    const answered = this.#awaited.filter(({ end }) => isLost || end <= shown)
    this.#awaited = this.#awaited.filter((each) => !answered.includes(each))
    for (const { end, answer } of answered) answer(end <= shown)
  }

  #answer(id: number): Asked {
    const asked = this.#asked.get(id)
    invariant(asked, `somebody has asked ${id}`)
    this.#asked.delete(id)
    return asked
  }

  #fail(error: unknown): void {
    if (this.#isStopped) return
    this.#end()
    this.#parts.onFailure(error)
  }

  #end(): void {
    this.#isStopped = true
    this.#cancelTick?.()
    for (const { refused } of this.#asked.values()) refused('lost')
    this.#asked.clear()
    this.#answerAwaited()
  }
}

function proposal(id: number, entries: readonly BatchEntry[], acks: Acks): Input {
  const bytes = bytesOf(entries)
  return { kind: 'propose', id, offsets: offsetsOf(entries), bytes, payload: entries, acks }
}

function invalid(text: string): Promise<never> {
  return Promise.reject(new TidemarkError('INVALID_ARGUMENT', text))
}

function makeOwn(clock: Clock): CoreSettings['makeOwn'] {
  return (kind, members) => {
    const entry: BatchEntry = {
      type: kind === 'leader' ? TYPE_LEADER : TYPE_MEMBERS,
      timestamp: clock.now(),
      count: 1,
      data: kind === 'leader' ? Buffer.alloc(0) : encodeMembers(members),
    }
    return { bytes: bytesOf([entry]), payload: [entry] }
  }
}
