import { type Acks, membersOf, type Output } from '#dist/quorum/core/index.js'
import { ArrayReplica, proposal, TUNING } from './array-replica.ts'
import type { Letter, RuleBook } from './rule-book.ts'

interface Random {
  uint32(): number
}

/** What may happen to a cluster: each is a share of a thousand events. */
export interface Troubles {
  readonly loss: number
  readonly duplication: number
  readonly crashes: number
  readonly slowDisks: number
  readonly damage: number
  readonly changes: number
}

const LETTERS_MAX = 400

/** A cluster to which everything happens in an order that a seed draws, watched by a rule book. */
export class RandomCluster {
  readonly replicas: ArrayReplica[]
  readonly #random: Random
  readonly #rules: RuleBook
  readonly #troubles: Troubles
  #letters: Letter[] = []
  /** No messages from or to them. */
  readonly #cut = new Set<number>()
  #ids = 0

  constructor(size: number, random: Random, rules: RuleBook, troubles: Troubles) {
    this.#random = random
    this.#rules = rules
    this.#troubles = troubles
    const voters = Array.from({ length: Math.min(size, 3) }, (_, i) => i + 1)
    const tuning = { ...TUNING, appendBytesMax: 10 + this.#below(60), uncommittedBytesMax: 2000 }
    this.replicas = Array.from({ length: size }, (_, i) => {
      return new ArrayReplica(i + 1, i < voters.length ? voters : [], tuning, random)
    })
    rules.watch(this.replicas)
    for (const replica of this.replicas) replica.start()
  }

  #below(limit: number): number {
    return this.#random.uint32() % limit
  }

  #often(share: number): boolean {
    return this.#below(1000) < share
  }

  #one(): ArrayReplica {
    return this.replicas[this.#below(this.replicas.length)]
  }

  /** One event. */
  happen(): void {
    const { crashes, changes, loss } = this.#troubles
    if (this.#often(crashes)) this.#fall(this.#one())
    if (this.#often(100)) this.#rise(this.#one())
    if (this.#often(changes)) this.#change(this.#one())
    if (this.#often(10)) this.#handOver(this.#one())
    if (this.#often(20)) this.#trim(this.#one())
    if (this.#often(loss / 10)) this.#cut.add(this.#one().id)
    if (this.#often(20)) this.#cut.clear()
    const kind = this.#below(10)
    if (kind < 2) this.#tick(this.#one())
    else if (kind === 2) this.#ask(this.#one())
    else if (kind < 5) this.#persist(this.#one())
    else this.#deliver()
  }

  #did(replica: ArrayReplica, output: Output): void {
    this.#rules.stepped(replica, output)
    for (const each of output.messages) this.#letters.push({ from: replica.id, ...each })
    if (output.commit !== undefined) replica.disk.shown = output.commit
    if (!this.#often(this.#troubles.slowDisks)) this.#persist(replica)
  }

  #tick(replica: ArrayReplica): void {
    if (replica.core) this.#did(replica, replica.step({ kind: 'tick' }))
  }

  #persist(replica: ArrayReplica): void {
    if (replica.core && replica.pieces.length > 0) this.#did(replica, replica.persistOne())
  }

  #deliver(): void {
    if (this.#letters.length === 0) return
    if (this.#letters.length > LETTERS_MAX) {
      for (const letter of this.#letters.splice(0, LETTERS_MAX / 2)) this.#lose(letter, false)
    }
    const at = this.#below(Math.min(this.#letters.length, 8))
    const letter = this.#letters[at]
    if (!this.#often(this.#troubles.duplication)) this.#letters.splice(at, 1)
    const isCut = this.#cut.has(letter.from) || this.#cut.has(letter.to)
    if (isCut || this.#often(this.#troubles.loss)) this.#lose(letter, false)
    else this.#hand(letter)
  }

  #hand(letter: Letter): void {
    const replica = this.replicas[letter.to - 1]
    if (!replica.core) {
      this.#lose(letter, false)
      return
    }
    const { from, message } = letter
    this.#did(replica, replica.step({ kind: 'message', from, message }))
    this.#lose(letter, true)
  }

  /** A snapshot is reported to whoever sent it. */
  #lose({ from, to, message }: Letter, ok: boolean): void {
    const sender = this.replicas[from - 1]
    if (message.kind !== 'snapshot' || !sender.core) return
    this.#did(sender, sender.step({ kind: 'snapshot-sent', to, ok }))
  }

  /** A client proposes or reads. */
  #ask(replica: ArrayReplica): void {
    if (!replica.core) return
    const id = ++this.#ids
    if (this.#often(300)) {
      this.#rules.reads(replica.id, id)
      this.#did(replica, replica.step({ kind: 'read', id }))
      return
    }
    const acks = (['quorum', 'leader', 'none'] satisfies Acks[])[this.#below(3)]
    const input = proposal(id, acks, 1 + this.#below(3), this.#below(30))
    this.#rules.proposes(replica.id, id, acks)
    this.#did(replica, replica.step(input))
  }

  #change(replica: ArrayReplica): void {
    if (!replica.core) return
    const ids = this.replicas.map(({ id }) => id)
    const voters = ids.filter(() => this.#often(600))
    const learners = ids.filter((id) => !voters.includes(id) && this.#often(500))
    if (voters.length === 0) return
    const target = membersOf(voters, learners)
    this.#did(replica, replica.step({ kind: 'change', id: ++this.#ids, target }))
  }

  #handOver(replica: ArrayReplica): void {
    if (replica.core) this.#did(replica, replica.step({ kind: 'transfer', to: this.#one().id }))
  }

  #trim(replica: ArrayReplica): void {
    if (replica.core?.status.role !== 'leader') return
    const { committed } = replica.core.status
    const ends = replica.disk.batches.filter(({ end }) => end <= committed).map(({ end }) => end)
    const mark = ends[this.#below(Math.max(1, ends.length))]
    if (mark !== undefined) this.#did(replica, replica.step({ kind: 'trim', mark }))
  }

  /** It crashes, in the midst of a piece of work; and what it had may be damaged. */
  #fall(replica: ArrayReplica): void {
    if (!replica.core) return
    const [piece] = replica.pieces
    if (piece) replica.disk.write(piece, this.#below(replica.disk.countParts(piece) + 1))
    replica.crash()
    this.#rules.crashed(replica)
    const { disk } = replica
    const { mark } = disk.last
    // Only one replica at a time: more may lose what is committed.
    const isSparing = this.replicas.some(
      (other) => other !== replica && !this.#rules.isWhole(other),
    )
    if (isSparing || mark === 0 || !this.#often(this.#troubles.damage)) return
    const at = disk.low.mark + this.#below(Math.max(1, mark - disk.low.mark))
    if (this.#often(500)) disk.loseEnd(at)
    else disk.damage(at, at + 1 + this.#below(6))
  }

  #rise(replica: ArrayReplica): void {
    if (replica.core) return
    replica.start()
    this.#rules.started(replica)
  }

  /** Everything works from here on: what must come to pass does within so many rounds. */
  heal(rounds: number, isDone: () => boolean): boolean {
    this.#cut.clear()
    for (const replica of this.replicas) this.#rise(replica)
    for (let round = 0; round < rounds; round++) {
      for (const replica of this.replicas) this.#tick(replica)
      for (let i = 0; i < 40 && this.#letters.length > 0; i++) this.#hand(this.#letters.shift()!)
      for (const replica of this.replicas) {
        while (replica.pieces.length > 0) this.#persist(replica)
      }
      if (round % 10 === 9 && isDone()) return true
    }
    return false
  }
}
