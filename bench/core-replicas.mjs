// Three replicas of the core in one process, with nothing around them: messages wait in a queue, and
// disks have done their work when they are asked. What is measured is the core and nothing else.
import { performance } from 'node:perf_hooks'
import { membersOf, RaftCore, seededRandom } from './tidemark.mjs'

const IDS = [1, 2, 3]
const EMPTY = { term: 0, mark: 0 }
const BYTES = 128
/** What lies below the committed mark is trimmed now and then, as a host would. */
const TRIM_EVERY = 16_384

/** The latest batches of a disk, each of one offset: more than are ever under way. */
class Recent {
  #ring = new Array(1024)

  keep(batches) {
    for (const batch of batches) this.#ring[batch.start & 1023] = batch
  }

  batches(from, to, maxBytes) {
    const found = []
    let bytes = 0
    for (let mark = from; mark < to; mark++) {
      const batch = this.#ring[mark & 1023]
      if (batch?.start !== mark) throw new Error(`mark ${mark} is not in memory`)
      bytes += batch.bytes
      if (bytes > maxBytes && found.length > 0) break
      found.push(batch)
    }
    return found
  }
}

function newCore(id, view) {
  const members = membersOf(IDS)
  return new RaftCore(
    {
      id,
      electionTicks: 10,
      heartbeatTicks: 2,
      appendBytesMax: 64 * 1024,
      inflightMax: 64,
      inflightBytesMax: 2 ** 20,
      uncommittedBytesMax: 2 ** 30,
      makeOwn: () => ({ bytes: 0, payload: undefined }),
      random: seededRandom(id),
    },
    {
      hard: {
        term: 0,
        vote: 0,
        promised: undefined,
        configurations: [{ point: EMPTY, members }],
      },
      log: { low: EMPTY, last: EMPTY, lostEnd: undefined, terms: [], holes: [], commit: 0 },
      view,
    },
  )
}

/** Replicas that run until there is nothing left to do. */
export class CoreReplicas {
  steps = 0
  done = 0
  leader
  #disks = IDS.map(() => new Recent())
  #cores = IDS.map((id, i) => newCore(id, this.#disks[i]))
  #tasks = []
  #last = new Float64Array(IDS.length + 1)
  #timed = false
  #trimmed = 0

  constructor() {
    for (let tick = 0; this.leader === undefined; tick++) {
      if (tick === 1000) throw new Error('nobody leads')
      for (const id of IDS) this.#step(id, { kind: 'tick' })
      this.run()
      this.leader = IDS.find((id) => this.#cores[id - 1].status.isReady)
    }
  }

  /** The milliseconds that each replica has spent in steps since this was called with true. */
  time(timed) {
    this.#timed = timed
    const spent = [...this.#last]
    this.#last.fill(0)
    return spent
  }

  propose(id) {
    this.#step(this.leader, {
      kind: 'propose',
      id,
      offsets: 1,
      bytes: BYTES,
      payload: undefined,
      acks: 'quorum',
    })
  }

  /** Hands over all that is under way, and what follows from it. */
  run() {
    for (let i = 0; i < this.#tasks.length; i += 2) this.#step(this.#tasks[i], this.#tasks[i + 1])
    this.#tasks.length = 0
    const { committed } = this.#cores[0].status
    if (this.leader === undefined || committed < this.#trimmed + TRIM_EVERY) return
    this.#trimmed = committed
    this.#step(this.leader, { kind: 'trim', mark: committed })
    this.run()
  }

  #step(id, input) {
    this.steps++
    const core = this.#cores[id - 1]
    let output
    if (this.#timed) {
      const begun = performance.now()
      output = core.step(input)
      this.#last[id] += performance.now() - begun
    } else output = core.step(input)
    for (const { to, message } of output.messages) {
      this.#tasks.push(to, { kind: 'message', from: id, message })
    }
    const { persist } = output
    if (persist) {
      this.#disks[id - 1].keep(persist.batches)
      this.#tasks.push(id, { kind: 'persisted', number: persist.number })
    }
    this.done += output.done.length
  }
}
