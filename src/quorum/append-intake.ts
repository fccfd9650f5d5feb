import { NOBODY } from './core/index.ts'
import type { ReplicaHost } from './replica-host.ts'
import type { AppendGroup, AppendOutcome } from './wire/index.ts'

interface Stream {
  readonly number: number
  next: number
  /** One of its groups was refused: so are those that follow, or they would overtake it. */
  isBroken: boolean
}

/** Of so many sessions the streams are known; that of the one that has asked for longest ago is forgotten. */
const SESSIONS_MAX = 4096

/**
 * The leader's side of appends: takes the groups of each session in order, and each once.
 *
 * Invariant: a group is taken only behind the one that its stream has before it.
 */
export class AppendIntake {
  readonly #host: ReplicaHost
  readonly #streams = new Map<number, Stream>()

  constructor(host: ReplicaHost) {
    this.#host = host
  }

  take(group: AppendGroup): Promise<AppendOutcome> {
    const stream = this.#streamOf(group)
    const { isLeader, leader } = this.#host
    if (!stream || !isLeader) {
      if (stream) stream.isBroken = true
      return Promise.resolve({ kind: 'refused', leader })
    }
    stream.next++
    const known = this.#host.find(group)
    if (known) return this.#whenCommitted(known.start, known.end)
    if (group.isRepeated && group.since < this.#host.covered) {
      return Promise.resolve({ kind: 'uncertain' })
    }
    return this.#submit(group, stream)
  }

  /** The stream of the group, if this is the group that comes next in it. */
  #streamOf({ session, stream: number, place }: AppendGroup): Stream | undefined {
    let stream = this.#streams.get(session)
    if (place === 0 && (!stream || stream.number < number)) {
      stream = { number, next: 0, isBroken: false }
      this.#streams.delete(session)
      this.#streams.set(session, stream)
      if (this.#streams.size > SESSIONS_MAX) {
        const [oldest] = this.#streams.keys()
        this.#streams.delete(oldest!)
      }
    }
    const isNext = stream?.number === number && stream.next === place && !stream.isBroken
    return isNext ? stream : undefined
  }

  #submit(group: AppendGroup, stream: Stream): Promise<AppendOutcome> {
    return new Promise((resolve) => {
      this.#host.submit(group.entries, group, group.acks, {
        done: ({ start }) => {
          // Before its term is over, so this is the term of the batch.
          const isCommitted = group.acks === 'quorum'
          resolve({ kind: 'done', start, ...(isCommitted && { term: this.#host.term }) })
        },
        refused: (why) => {
          stream.isBroken = true
          // Nobody is sent back to where it was refused.
          const hint = this.#host.isLeader ? NOBODY : this.#host.leader
          resolve(why === 'lost' ? { kind: 'lost' } : { kind: 'refused', leader: hint })
        },
      })
    })
  }

  #whenCommitted(start: number, end: number): Promise<AppendOutcome> {
    return new Promise((resolve) => {
      this.#host.whenCommitted(end, (ok) => {
        resolve(ok ? { kind: 'done', start } : { kind: 'lost' })
      })
    })
  }
}
