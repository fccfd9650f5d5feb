import {
  type Acks,
  type CoreSettings,
  type Input,
  type Members,
  membersOf,
  type Output,
  type Persist,
  RaftCore,
} from '#dist/quorum/core/index.js'
import { ArrayDisk, EMPTY } from './array-disk.ts'

export type Tuning = Omit<CoreSettings, 'id' | 'makeOwn' | 'random'>

export const TUNING: Tuning = {
  electionTicks: 10,
  heartbeatTicks: 2,
  appendBytesMax: 100,
  inflightMax: 3,
  inflightBytesMax: 1000,
  uncommittedBytesMax: 500,
}

/** A replica and its disk. It does what the core says when it is told to, and no sooner. */
export class ArrayReplica {
  readonly id: number
  readonly disk: ArrayDisk
  /** Undefined while it is down. */
  core: RaftCore | undefined
  /** Pieces of work that the disk has not done, in order. */
  readonly pieces: Persist[] = []
  /** Work is done as soon as it is there. */
  isAuto = true
  readonly #settings: CoreSettings

  constructor(id: number, voters: readonly number[], tuning: Tuning, random: { uint32(): number }) {
    this.id = id
    const members = voters.length > 0 ? membersOf(voters) : undefined
    const configurations = members ? [{ point: EMPTY, members }] : []
    this.disk = new ArrayDisk({ term: 0, vote: 0, promised: undefined, configurations })
    const makeOwn = (kind: string, of: Members) => ({
      bytes: 10,
      payload: `${kind} ${id} ${of.voters}`,
    })
    this.#settings = { ...tuning, id, makeOwn, random }
  }

  start(): void {
    const { hard, view } = this.disk
    this.core = new RaftCore(this.#settings, { hard, log: this.disk.stored(), view })
  }

  /** Whatever was not on the disk is gone. */
  crash(): void {
    this.core = undefined
    this.pieces.length = 0
  }

  step(input: Input): Output {
    const output = this.core!.step(input)
    if (output.persist) this.pieces.push(output.persist)
    return output
  }

  /** The disk does its next piece of work. */
  persistOne(): Output {
    const piece = this.pieces.shift()!
    this.disk.write(piece)
    return this.step({ kind: 'persisted', number: piece.number })
  }
}

export function proposal(id: number, acks: Acks, offsets = 1, bytes = 10): Input {
  return { kind: 'propose', id, offsets, bytes, payload: `#${id}`, acks }
}
