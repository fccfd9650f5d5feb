// What a life of a member has for appends beside its host, put together as a member does it: a pipeline, the leader's
// intake, and requests over connections.
import { type Draws, type SimulatedClock, seededRandom } from 'tidemark/testing'
import { AppendIntake } from '#dist/quorum/append-intake.js'
import { AppendPipeline } from '#dist/quorum/append-pipeline.js'
import { OPERATION } from '#dist/quorum/operations.js'
import type { ReplicaHost } from '#dist/quorum/replica-host.js'
import { Requests } from '#dist/quorum/requests.js'
import {
  type AppendGroup,
  type AppendOutcome,
  decodeAppendOutcome,
  decodeAppendRequest,
  encodeAppendOutcome,
  encodeAppendRequest,
} from '#dist/quorum/wire/index.js'
import { Connections } from './connections.ts'
import { LOG, type Packet } from './framing.ts'
import type { AppendSettings } from './settings.ts'

/** What appends of a run have gone through. */
export interface AppendCounts extends Record<string, number> {
  /** Groups that a leader was sent again. */
  repeated: number
  /** Those that it recognized by their receipts. */
  known: number
  uncertain: number
  unavailable: number
  overloaded: number
}

export interface AppendPathParts {
  readonly id: number
  readonly host: ReplicaHost
  readonly committed: () => number
  readonly clock: SimulatedClock
  readonly draws: Draws
  readonly settings: AppendSettings
  readonly counts: AppendCounts
  readonly nextNumber: () => number
  readonly send: (to: number, packet: Packet) => void
  readonly onRefusedFrame: () => void
}

export class AppendPath {
  readonly pipeline: AppendPipeline
  readonly session: number
  readonly #host: ReplicaHost
  readonly #intake: AppendIntake
  readonly #requests: Requests
  readonly #connections: Connections
  readonly #counts: AppendCounts
  #leader = 0

  constructor(parts: AppendPathParts) {
    const { id, host, clock, draws, settings, counts } = parts
    this.#host = host
    this.#counts = counts
    this.#intake = new AppendIntake(host)
    this.#requests = new Requests((to, kind, head, data) => {
      return this.#connections.send(to, kind, head, data)
    })
    this.#requests.handle(OPERATION.append, (_from, request) => {
      return this.#take(decodeAppendRequest(request).group).then(encodeAppendOutcome)
    })
    this.#connections = new Connections({
      clock,
      draws,
      nextNumber: parts.nextNumber,
      send: parts.send,
      onRefusedFrame: parts.onRefusedFrame,
      onDown: (peer) => this.#requests.onDown(peer),
      onFrame: (from, frame) => {
        if (!this.#requests.onFrame(from, frame)) throw new Error(`a frame of kind ${frame.kind}`)
      },
    })
    const random = seededRandom(draws.integer(1, 2 ** 31))
    this.session = random.uint32() * 2 ** 16 + (random.uint32() % 2 ** 16)
    this.pipeline = new AppendPipeline(
      {
        name: 'log',
        session: this.session,
        clock,
        leader: () => host.leader,
        committed: parts.committed,
        onCommitted: (point) => {
          if (!host.isLeader) host.step({ kind: 'committed', point })
        },
        send: (to, group) => (to === id ? this.#take(group) : this.#ask(to, group)),
      },
      settings.pipeline,
    )
  }

  /** After each step of the host. */
  stepped(): void {
    const { leader } = this.#host
    if (leader === this.#leader) return
    this.#leader = leader
    this.pipeline.leaderChanged()
  }

  receive(from: number, packet: Packet): void {
    this.#connections.receive(from, packet)
  }

  cutOne(): boolean {
    return this.#connections.cutOne()
  }

  #ask(to: number, group: AppendGroup): Promise<AppendOutcome> {
    return this.#requests
      .ask(to, OPERATION.append, encodeAppendRequest(LOG, group))
      .then(decodeAppendOutcome)
  }

  #take(group: AppendGroup): Promise<AppendOutcome> {
    if (group.isRepeated) this.#counts.repeated++
    if (this.#host.isLeader && this.#host.find(group)) this.#counts.known++
    return this.#intake.take(group)
  }
}
