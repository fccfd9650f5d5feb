import assert from 'node:assert/strict'
import type { Input, Message, MessageKind, Output, Status } from '#dist/quorum/core/index.js'
import { ArrayReplica, TUNING, type Tuning } from './array-replica.ts'
import { message, piece, role } from './scenario-print.ts'

interface Letter {
  readonly from: number
  readonly to: number
  readonly message: Message
}

/** Which messages a command is about. */
export interface Pick {
  readonly from?: number | undefined
  readonly to?: number | undefined
  readonly kind?: MessageKind | undefined
}

const ROUNDS_MAX = 60

/** The replicas of a scenario, what is under way between them, and what has happened since it was asked. */
export class ScenarioCluster {
  readonly replicas = new Map<number, ArrayReplica>()
  tuning: Tuning = TUNING
  /** In the order in which they were sent. */
  letters: Letter[] = []
  #lines: string[] = []

  /** What has happened. */
  take(): string[] {
    const lines = this.#lines
    this.#lines = []
    return lines
  }

  say(line: string): void {
    this.#lines.push(line)
  }

  create(id: number, voters: readonly number[]): ArrayReplica {
    // The lower number is the less patient.
    const random = { uint32: () => id - 1 }
    const replica = new ArrayReplica(id, voters, this.tuning, random)
    this.replicas.set(id, replica)
    return replica
  }

  at(id: number): ArrayReplica {
    const replica = this.replicas.get(id)
    assert.ok(replica, `there is no replica ${id}`)
    return replica
  }

  /** Gives a replica something to do, and says what came of it. */
  step(id: number, input: Input): void {
    const replica = this.at(id)
    if (replica.core) this.#watch(replica, () => replica.step(input))
  }

  /** The disk does what it has to do, or only the next piece. */
  persist(id: number, count = Number.POSITIVE_INFINITY): boolean {
    const replica = this.at(id)
    let done = 0
    for (; replica.pieces.length > 0 && done < count; done++) {
      this.#watch(replica, () => replica.persistOne())
    }
    return done > 0
  }

  #watch(replica: ArrayReplica, act: () => Output): void {
    const before = replica.core!.status
    const output = act()
    const after = replica.core!.status
    this.#sayChange(before, after)
    this.#sayOutput(replica, output)
    for (const each of output.messages) this.letters.push({ from: replica.id, ...each })
    if (output.commit !== undefined) replica.disk.shown = output.commit
    if (replica.isAuto) this.persist(replica.id)
  }

  #sayChange(before: Status, after: Status): void {
    if (role(before) !== role(after)) this.say(`  ${after.id} ${role(after)}`)
    if (after.hasFailed && !before.hasFailed) this.say(`  ${after.id} has failed`)
    if (before.promised && !after.promised) this.say(`  ${after.id} has kept its promise`)
  }

  #sayOutput({ id, isAuto }: ArrayReplica, output: Output): void {
    const { persist, commit, done, reads, refused } = output
    if (persist && !isAuto) this.say(`  ${id} disk: ${piece(persist)}`)
    if (commit !== undefined) this.say(`  ${id} shows ${commit}`)
    for (const { id: which, start, end } of done) {
      this.say(`  ${id} done #${which} at ${start}${end - start > 1 ? `-${end}` : ''}`)
    }
    for (const { id: which, mark } of reads) this.say(`  ${id} reads #${which} at ${mark}`)
    for (const { id: which, why } of refused) this.say(`  ${id} refuses #${which}: ${why}`)
  }

  /** Takes the messages off the network that are meant. */
  pick({ from, to, kind }: Pick): Letter[] {
    const isMeant = (letter: Letter) =>
      (from === undefined || letter.from === from) &&
      (to === undefined || letter.to === to) &&
      (kind === undefined || letter.message.kind === kind)
    const picked = this.letters.filter(isMeant)
    this.letters = this.letters.filter((letter) => !isMeant(letter))
    return picked
  }

  deliver(letters: readonly Letter[]): void {
    for (const { from, to, message: it } of letters) {
      const isThere = this.replicas.get(to)?.core !== undefined
      this.say(`${from}->${to} ${message(it)}${isThere ? '' : ' (lost)'}`)
      if (isThere) this.step(to, { kind: 'message', from, message: it })
    }
  }

  /** Delivers until nothing that is meant is under way any more; `isQuiet`: only what comes of it is said. */
  settle(pick: Pick, isQuiet: boolean): void {
    for (let round = 0; ; round++) {
      assert.ok(round < ROUNDS_MAX, 'the messages come to an end')
      const letters = this.pick(pick)
      if (letters.length === 0) break
      this.deliver(letters)
    }
    if (isQuiet) this.#lines = this.#lines.filter((line) => line.startsWith(' '))
  }

  repeat(letters: readonly Letter[]): void {
    this.letters.push(...letters)
  }
}
