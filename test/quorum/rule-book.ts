import assert from 'node:assert/strict'
import {
  type Acks,
  type Batch,
  type Envelope,
  type Members,
  type Message,
  type Output,
  quorumVerdict,
} from '#dist/quorum/core/index.js'
import type { ArrayReplica } from './array-replica.ts'

export interface Letter extends Envelope {
  readonly from: number
}

/** Messages that say something of a later term than that of who sends them. */
const AHEAD: ReadonlySet<Message['kind']> = new Set(['pre-vote', 'pre-vote-reply'])

/** What must be true of every cluster, whatever happens to it; checked after each step of each replica. */
export class RuleBook {
  #replicas: readonly ArrayReplica[] = []
  readonly #leaders = new Map<number, number>()
  /** Who voted for whom: by term and voter. */
  readonly #votes = new Map<string, number>()
  /** What was ever written at a place: by term and mark of its end; with the place where it begins. */
  readonly #written = new Map<string, string>()
  /** What is committed, in order. */
  readonly committed: Batch[] = []
  /** The logs as the replicas know them: what is on their disks, and what is on the way. */
  readonly #logs = new Map<number, Batch[]>()
  readonly #marks = new Map<number, { term: number; committed: number }>()
  readonly #asked = new Map<string, { acks?: Acks; mark: number }>()
  /** The highest mark that anybody was told is safe. */
  #told = 0
  doneCount = 0
  readCount = 0

  watch(replicas: readonly ArrayReplica[]): void {
    this.#replicas = replicas
    for (const { id } of replicas) this.#logs.set(id, [])
  }

  isWhole({ disk, core, pieces }: ArrayReplica): boolean {
    const isWhole = disk.damaged.size === 0 && disk.lostEnd === undefined && !disk.hard.promised
    return isWhole && !core?.status.promised && pieces.every(({ reset }) => !reset)
  }

  reads(replica: number, id: number): void {
    this.#asked.set(`${replica} ${id}`, { mark: this.#told })
  }

  proposes(replica: number, id: number, acks: Acks): void {
    this.#asked.set(`${replica} ${id}`, { acks, mark: 0 })
  }

  crashed({ id }: ArrayReplica): void {
    this.#marks.delete(id)
  }

  started({ id, disk }: ArrayReplica): void {
    this.#logs.set(id, [...disk.batches])
  }

  stepped(replica: ArrayReplica, output: Output): void {
    this.#write(replica, output)
    this.#checkMarks(replica)
    this.#checkLeader(replica)
    this.#commit(replica)
    this.#checkMessages(replica, output)
    this.#checkAnswers(replica, output)
  }

  /** Log matching: the same place has the same batch, and the same before it. */
  #write({ id, core }: ArrayReplica, { persist }: Output): void {
    if (!persist) return
    let log = this.#logs.get(id)!
    const low = core!.status.low
    if (persist.reset) log = []
    const cut = persist.truncate
    if (cut !== undefined) log = log.filter(({ end }) => end <= cut)
    for (const batch of persist.batches) {
      const before = log.at(-1)
      const key = `${batch.term} ${batch.end}`
      if (before) {
        const value = `${batch.start} ${batch.payload} after ${before.term} ${before.end}`
        const known = this.#written.get(key) ?? value
        assert.equal(value, known, `log matching at ${key} on ${id}`)
        this.#written.set(key, value)
      }
      log.push(batch)
    }
    this.#logs.set(
      id,
      log.filter(({ end }) => end > Math.min(low, log.at(-1)!.end - 1)),
    )
  }

  #checkMarks({ id, core, disk }: ArrayReplica): void {
    const { term, committed, promised, last, role } = core!.status
    const before = this.#marks.get(id)
    if (before) {
      assert.ok(term >= before.term, `the term of ${id} decreases to ${term}`)
      const isDamaged = promised !== undefined || disk.damaged.size > 0
      assert.ok(
        committed >= before.committed || isDamaged,
        `${id} uncommits from ${before.committed}`,
      )
    }
    this.#marks.set(id, { term, committed })
    if (promised) {
      const isReached =
        last.term === promised.term ? last.mark >= promised.mark : last.term > promised.term
      assert.ok(!isReached, `${id} has reached what it promised`)
      assert.notEqual(role, 'leader', `${id} leads although it is not whole`)
    }
  }

  /** Election safety, and leader completeness: a leader has everything that is committed. */
  #checkLeader({ id, core }: ArrayReplica): void {
    const { role, term } = core!.status
    if (role !== 'leader') return
    const known = this.#leaders.get(term)
    if (known !== undefined) {
      assert.equal(known, id, `one leader in term ${term}`)
      return
    }
    this.#leaders.set(term, id)
    const log = this.#logs.get(id)!
    const start = log[0]?.start ?? 0
    for (const batch of this.committed) {
      if (batch.end <= start || batch.term >= term) continue
      const own = log.find(({ end }) => end === batch.end)
      assert.equal(own?.term, batch.term, `leader ${id} of term ${term} has ${batch.end}`)
    }
  }

  /** What is committed is the same everywhere, and is on the disks of a quorum when it becomes so. */
  #commit({ id, core }: ArrayReplica): void {
    const { committed, members, holes } = core!.status
    const end = this.committed.at(-1)?.end ?? 0
    for (const batch of this.#logs.get(id)!) {
      if (batch.end > committed) break
      if (batch.end > end) {
        this.#checkDurable(batch, members)
        assert.equal(batch.start, this.committed.at(-1)?.end ?? 0, 'nothing committed is skipped')
        this.committed.push(batch)
      } else if (!holes.some(({ from, to }) => batch.end > from && batch.end <= to)) {
        const same = this.committed.find((each) => each.end === batch.end)
        assert.equal(batch.payload, same?.payload, `what ${id} has committed at ${batch.end}`)
        assert.equal(batch.term, same?.term, `what ${id} has committed at ${batch.end}`)
      }
    }
  }

  #checkDurable(batch: Batch, members: Members): void {
    const has = (id: number) => {
      const replica = this.#replicas[id - 1]
      return !this.isWhole(replica) || replica.disk.holds(batch)
    }
    const verdict = quorumVerdict(members, has)
    assert.equal(verdict, 'won', `${batch.end} of term ${batch.term} is on the disks of a quorum`)
  }

  /** What is said of the disk is on the disk, and nothing is said of a term before it is. */
  #checkMessages({ id, disk }: ArrayReplica, { messages }: Output): void {
    for (const { to, message } of messages) {
      const { kind, term } = message
      const durable = disk.hard.term + (AHEAD.has(kind) ? 1 : 0)
      if (kind !== 'pre-vote-reply')
        assert.ok(term <= durable, `${kind} of ${id} before term ${term}`)
      if (kind === 'vote-reply' && message.granted) this.#checkVote(id, to, term)
      if (kind === 'vote') this.#checkVote(id, id, term)
      if (kind === 'append-reply' && message.matched) {
        const { mark } = message
        assert.ok(mark <= disk.last.mark, `${id} acknowledges ${mark}, and has ${disk.last.mark}`)
        const hole = disk.holes().find(({ from }) => from < mark)
        assert.equal(hole, undefined, `${id} acknowledges ${mark}, and has a hole`)
      }
    }
  }

  #checkVote(voter: number, candidate: number, term: number): void {
    const key = `${term} ${voter}`
    const known = this.#votes.get(key) ?? candidate
    assert.equal(candidate, known, `${voter} votes once in term ${term}`)
    this.#votes.set(key, candidate)
    const { hard } = this.#replicas[voter - 1].disk
    if (hard.term === term) assert.equal(hard.vote, candidate, 'the vote is on the disk')
  }

  #checkAnswers({ id }: ArrayReplica, { done, reads, commit }: Output): void {
    const end = this.committed.at(-1)?.end ?? 0
    if (commit !== undefined) assert.ok(commit <= end, `${id} shows ${commit}`)
    this.#told = Math.max(this.#told, commit ?? 0)
    for (const { id: which, end: mark } of done) {
      if (this.#asked.get(`${id} ${which}`)?.acks !== 'quorum') continue
      assert.ok(mark <= end, `#${which} is done at ${mark}, and committed is ${end}`)
      this.#told = Math.max(this.#told, mark)
      this.doneCount++
    }
    for (const { id: which, mark } of reads) {
      const { mark: least } = this.#asked.get(`${id} ${which}`)!
      assert.ok(mark >= least, `read #${which} at ${mark} misses ${least}`)
      assert.ok(mark <= end, `read #${which} at ${mark} is above ${end}`)
      this.readCount++
    }
  }
}
