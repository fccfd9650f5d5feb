// What must hold at every moment of a run, over all replicas, dead ones included. The names are those of the
// Raft paper (figure 3) where it has them.
import {
  type Batch,
  type Envelope,
  type HardState,
  type Hole,
  type Input,
  type Members,
  type Output,
  type Point,
  quorumMark,
  type Status,
} from '#dist/quorum/core/index.js'
import { contentOf, type ShadowLog } from './shadow-log.ts'

/** What is known of a replica, whether it lives or not. */
export interface Watched {
  readonly id: number
  /** As its core has it. */
  memory: ShadowLog
  /** As its disk has it, so far as the core was told. */
  disk: ShadowLog
  /** What the disk had before damage took the end of it: what was counted on it then was there. */
  lost: ShadowLog | undefined
  /** Work at the disk that is not reported. */
  pending: Map<number, NonNullable<Output['persist']>>
  hard: HardState
  /** Of this life. */
  term: number
  committed: number
  shown: number
  /** Led, before this step or after it: a leader that is no member any more goes with what it commits. */
  leads: boolean
}

export class Violation extends Error {
  readonly invariant: string

  constructor(invariant: string, text: string) {
    super(`${invariant}: ${text}`)
    this.name = 'Violation'
    this.invariant = invariant
  }
}

function must(condition: boolean, invariant: string, text: () => string): void {
  if (!condition) throw new Violation(invariant, text())
}

/** Watches a whole run. */
export class Invariants {
  readonly #watched = new Map<number, Watched>()
  readonly #leaders = new Map<number, number>()
  readonly #votes = new Map<string, number>()
  /** Each batch that was ever written, by term and end: with the place before it and what it holds. */
  readonly #written = new Map<string, { before: Point; content: string; batch: Batch }>()
  /** Everything that is committed, by its end. */
  readonly #committed = new Map<number, Batch>()
  /** The end of it. */
  committedMark = 0
  committedTerm = 0
  acknowledged = 0

  watch(id: number, hard: HardState, log: ShadowLog): Watched {
    const before = this.#watched.get(id)
    if (before) this.#checkRestart(before, hard, log)
    const watched: Watched = {
      id,
      memory: log,
      disk: log.clone(),
      lost: hard.promised ? (before?.lost ?? before?.disk) : undefined,
      pending: new Map(),
      hard,
      term: hard.term,
      committed: 0,
      shown: 0,
      leads: false,
    }
    this.#watched.set(id, watched)
    return watched
  }

  /** A replica was taken out and has deleted what it had, and begins anew. Its votes are not forgotten. */
  forget(id: number): void {
    this.#watched.delete(id)
  }

  /** What lay in a hole: by Log Matching, the place where it ends says all that is before. */
  batchesIn({ from, to, term }: Hole): Batch[] {
    const found: Batch[] = []
    for (let at: Point = { term, mark: to }; at.mark > from; ) {
      const known = this.#written.get(`${at.term}/${at.mark}`)
      if (!known) throw new Error(`nobody has written ${at.term}/${at.mark}`)
      found.unshift(known.batch)
      at = known.before
    }
    return found
  }

  /** All that was ever committed, in order. */
  get committed(): Iterable<Batch> {
    return this.#committed.values()
  }

  /** A hard state is on the disk. */
  saved(watched: Watched, hard: HardState): void {
    must(hard.term >= watched.hard.term, 'Terms Increase', () => {
      return `replica ${watched.id} saves term ${hard.term} after ${watched.hard.term}`
    })
    watched.hard = hard
    if (hard.vote === 0) return
    const key = `${watched.id} in ${hard.term}`
    const vote = this.#votes.get(key) ?? hard.vote
    must(vote === hard.vote, 'One Vote', () => `${key}: for ${vote} and for ${hard.vote}`)
    this.#votes.set(key, vote)
  }

  /** A message leaves: what it says is on the disk. */
  sent(watched: Watched, { message, to }: Envelope): void {
    if (message.kind === 'pre-vote' || message.kind === 'pre-vote-reply') return
    must(message.term <= watched.hard.term, 'Durable Before Said', () => {
      return `replica ${watched.id} sends ${message.kind} of term ${message.term} to ${to}, and its disk has ${watched.hard.term}`
    })
    if (message.kind === 'vote-reply' && message.granted) {
      must(
        watched.hard.vote === to || watched.hard.term > message.term,
        'Durable Before Said',
        () => {
          return `replica ${watched.id} votes for ${to}, and its disk says ${watched.hard.vote}`
        },
      )
    }
  }

  stepped(watched: Watched, input: Input, output: Output, status: Status): void {
    if (input.kind === 'persisted') this.#persisted(watched, input.number)
    const { persist } = output
    if (persist) {
      this.#checkWritten(watched, persist)
      watched.memory.apply(persist)
      watched.pending.set(persist.number, persist)
      // Of a log that was damaged beyond repair nobody is told any more.
      const from = persist.reset?.mark ?? watched.committed
      watched.committed = Math.min(watched.committed, from)
      watched.shown = Math.min(watched.shown, persist.reset?.mark ?? watched.shown)
    }
    this.#checkStatus(watched, status)
    const leads = status.role === 'leader'
    if (leads) this.#checkLeader(watched, status)
    watched.leads ||= leads
    if (status.committed > watched.committed) this.#checkCommitted(watched, status)
    if (output.commit !== undefined) {
      must(output.commit >= watched.shown, 'High-Water Mark Rises', () => {
        return `replica ${watched.id} shows ${output.commit} after ${watched.shown}`
      })
      watched.shown = output.commit
    }
    watched.leads = leads
  }

  #persisted(watched: Watched, number: number): void {
    const work = watched.pending.get(number)
    must(work !== undefined, 'Disk Order', () => `replica ${watched.id}: ${number} was not asked`)
    watched.pending.delete(number)
    watched.disk.apply(work!)
  }

  #checkStatus(watched: Watched, { term, committed, last, low, id }: Status): void {
    must(term >= watched.term, 'Terms Increase', () => `replica ${id}: ${term} < ${watched.term}`)
    watched.term = term
    must(committed >= watched.committed, 'Commit Rises', () => `replica ${id}: ${committed}`)
    const inOrder = low <= committed && committed <= last.mark
    must(inOrder, 'Marks In Order', () => `replica ${id}: ${low}, ${committed}, ${last.mark}`)
    const shadow = watched.memory.last
    must(shadow.mark === last.mark && shadow.term === last.term, 'Log As Asked', () => {
      return `replica ${id} has ${last.term}/${last.mark}, and was told ${shadow.term}/${shadow.mark}`
    })
  }

  /** Log Matching: the same term and end means the same batch behind the same place. */
  #checkWritten(
    watched: Watched,
    { batches, truncate, reset }: NonNullable<Output['persist']>,
  ): void {
    let before = watched.memory.last
    if (reset) before = reset
    if (truncate !== undefined && truncate < before.mark) {
      const at = watched.memory.endingAt(truncate)
      before = at ? { term: at.term, mark: at.end } : watched.memory.low
      this.#checkCut(watched, truncate)
    }
    for (const batch of batches) {
      const key = `${batch.term}/${batch.end}`
      const content = contentOf(batch)
      const known = this.#written.get(key)
      if (!known) this.#written.set(key, { before, content, batch })
      else {
        const place = before
        const isSame = known.before.term === place.term && known.before.mark === place.mark
        must(isSame && known.content === content, 'Log Matching', () => {
          return `replica ${watched.id} has at ${key} "${content}" behind ${JSON.stringify(place)}, another "${known.content}" behind ${JSON.stringify(known.before)}`
        })
      }
      before = { term: batch.term, mark: batch.end }
    }
  }

  /** What a quorum may have counted on this replica for is never cut from it. */
  #checkCut(watched: Watched, mark: number): void {
    must(mark >= watched.committed, 'Commit Stays', () => {
      return `replica ${watched.id} cuts at ${mark} and has shown ${watched.committed} as committed`
    })
  }

  /** Election Safety and Leader Completeness. */
  #checkLeader(watched: Watched, { term, id }: Status): void {
    const leader = this.#leaders.get(term)
    if (leader === id) return
    must(leader === undefined, 'Election Safety', () => `${leader} and ${id} lead term ${term}`)
    this.#leaders.set(term, id)
    if (this.committedTerm >= term) return
    const last: Point = { term: this.committedTerm, mark: this.committedMark }
    const found = this.#committed.get(this.committedMark)
    if (!found) return
    must(watched.memory.has({ term: found.term, mark: last.mark }), 'Leader Completeness', () => {
      return `replica ${id} leads term ${term} without ${found.term}/${last.mark}, which is committed`
    })
  }

  /** State Machine Safety, and that a quorum of disks holds what is committed. */
  #checkCommitted(watched: Watched, status: Status): void {
    const from = Math.max(watched.committed, watched.memory.low.mark)
    watched.committed = status.committed
    for (const batch of watched.memory.between(from, status.committed)) {
      const known = this.#committed.get(batch.end)
      if (known) {
        must(contentOf(known) === contentOf(batch), 'State Machine Safety', () => {
          return `replica ${status.id} has committed "${contentOf(batch)}", another "${contentOf(known)}"`
        })
      } else if (batch.start >= this.committedMark) this.#committed.set(batch.end, batch)
      else {
        must(
          false,
          'State Machine Safety',
          () => `replica ${status.id} commits to ${batch.end}, inside`,
        )
      }
    }
    if (status.committed <= this.committedMark) return
    must(watched.leads, 'Commit By Leader', () => {
      return `replica ${status.id} follows, and knows of ${status.committed} before anyone`
    })
    this.committedMark = status.committed
    this.committedTerm = Math.max(this.committedTerm, status.term)
    this.#checkQuorum(status)
  }

  /** Commitment: a majority of the disks has it, those of the dead included. */
  #checkQuorum({ committed, members, id }: Status): void {
    const batch = this.#committed.get(committed)
    if (!batch) return
    const point = { term: batch.term, mark: batch.end }
    const holders = (who: number) => {
      const watched = this.#watched.get(who)
      return watched?.disk.has(point) || watched?.lost?.has(point) ? 1 : 0
    }
    must(quorumMark(members, holders) >= 1, 'Committed On Quorum', () => {
      return `replica ${id} commits ${point.term}/${point.mark} on ${describe(members, holders)}`
    })
  }

  /** What was reported as durable before a crash is there after it. Damage is not a crash: it is told apart. */
  #checkRestart(before: Watched, hard: HardState, log: ShadowLog): void {
    const { id } = before
    must(hard.term >= before.hard.term, 'Durable', () => `replica ${id} forgets its term`)
    if (hard.term === before.hard.term) {
      must(hard.vote === before.hard.vote || before.hard.vote === 0, 'Durable', () => {
        return `replica ${id} forgets its vote`
      })
    }
    const { last, batches } = before.disk
    const cuts = [...before.pending.values()].some(
      (work) => work.truncate !== undefined || work.reset,
    )
    if (cuts || batches.length === 0) return
    must(log.has(last) || hard.promised !== undefined, 'Durable', () => {
      return `replica ${id} has lost ${last.term}/${last.mark}, and ends at ${log.last.term}/${log.last.mark}`
    })
  }
}

function describe({ voters, outgoing }: Members, holders: (id: number) => number): string {
  const list = (ids: readonly number[]) => ids.map((id) => `${id}${holders(id) ? '' : ' not'}`)
  return `${list(voters)}${outgoing.length > 0 ? ` and ${list(outgoing)}` : ''}`
}
