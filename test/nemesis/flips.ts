// The ring of flips: one cluster, in whose files bits turn, one after the other, in a minority at a time.
import { setTimeout as delay } from 'node:timers/promises'
import { Draws, seededRandom } from '#dist/testing/index.js'
import type { Command } from '../kill/quorum/clients.ts'
import { machineFaults } from '../kill/quorum/verdict.ts'
import { Acknowledged, insist } from './acknowledged.ts'
import { type Bit, isTurned, kindOf, turnAny } from './bits.ts'
import { Cluster } from './cluster.ts'
import { Followed } from './followed.ts'
import { unexpected } from './judge.ts'
import { LOG_NAMES } from './logs.ts'
import type { DamageNotice } from './notices.ts'
import { SameEntry } from './same-entry.ts'

const BATCHES = 2000
const COMMANDS = 1200
const SESSIONS = 40
const AT_ONCE = 64
const TIMEOUT_MS = 2000
const WHOLE_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 20
/** One round in so many damages the same entry on several. */
const FLIPS_PER_SAME = 20
const SAME_MAX = 10
const FAULTS_MAX = 10

export interface FlipsOptions {
  readonly build: URL
  readonly folder: string
  readonly seed: number
  readonly members: number
  readonly flips: number
  /** How much is appended before: 1 is some thousand entries. */
  readonly scale?: number
  /** How often the same entry is damaged on several members; by default as often as fits the flips. */
  readonly same?: number
  /** How many bits turn at a time in each of a minority; 1 by default. */
  readonly atOnce?: number
  readonly onRound?: (text: string) => void
  readonly signal?: AbortSignal
}

/** What has become of the bits. */
export interface Outcomes {
  /** Found, and got back from others, where they were. */
  repaired: number
  /** The replica was begun anew. */
  lost: number
  /** Overwritten or cut off, and so were what is written anew anyway: marks, indexes, what a crash has torn. */
  rewritten: number
  /** Still there, and nothing depends on them. */
  harmless: number
}

export interface FlipsResult {
  readonly seed: number
  readonly flips: number
  readonly entries: number
  readonly outcomes: Outcomes
  /** By the kind of file, how many bits have turned. */
  readonly kinds: Readonly<Record<string, number>>
  /** Entries that were damaged on a majority, and came back; on all, and were told of. */
  readonly majorities: number
  readonly losses: number
  /** With what appends were refused to a log in which all have a hole. */
  readonly codes: Readonly<Record<string, number>>
  readonly seconds: number
  readonly faults: readonly string[]
}

type Look = 'restart' | 'close' | 'scrub' | 'read'

export async function turnBits(options: FlipsOptions): Promise<FlipsResult> {
  const { build, folder, seed, members } = options
  const followed = new Followed()
  const told: (DamageNotice & { readonly member: number })[] = []
  const cluster = await Cluster.start({
    build,
    folder,
    seed,
    members,
    hasWrongClocks: false,
    replicas: members,
    timeoutMs: TIMEOUT_MS,
    onSeen: (...seen) => followed.take(...seen),
    onDamage: (member, notice) => told.push({ ...notice, member }),
  })
  try {
    return await new Flips(cluster, options, followed, told).run()
  } finally {
    await cluster.stop()
  }
}

class Flips {
  readonly #cluster: Cluster
  readonly #options: FlipsOptions
  readonly #followed: Followed
  readonly #told: (DamageNotice & { readonly member: number })[]
  readonly #draws: Draws
  readonly #kept: Acknowledged
  readonly #outcomes: Outcomes = { repaired: 0, lost: 0, rewritten: 0, harmless: 0 }
  readonly #kinds: Record<string, number> = {}
  #commands: Command[] = []
  #flips = 0

  constructor(
    cluster: Cluster,
    options: FlipsOptions,
    followed: Followed,
    told: (DamageNotice & { readonly member: number })[],
  ) {
    this.#cluster = cluster
    this.#options = options
    this.#followed = followed
    this.#told = told
    this.#draws = new Draws(seededRandom(options.seed))
    this.#kept = new Acknowledged(cluster, this.#draws)
    for (const place of cluster.places) place.expected.add('CORRUPT')
  }

  async run(): Promise<FlipsResult> {
    const { seed, flips, onRound, signal } = this.#options
    const beginning = performance.now()
    await this.#fill()
    const faults: string[] = []
    const same = new SameEntry(this.#cluster, this.#kept, this.#draws)
    const counts = { majorities: 0, losses: 0 }
    const isOn = () => faults.length < FAULTS_MAX && !signal?.aborted
    while (this.#flips < flips && isOn()) {
      const text = await this.#round(faults)
      onRound?.(`${this.#flips}: ${text}`)
    }
    const { same: times = Math.min(SAME_MAX, Math.ceil(flips / FLIPS_PER_SAME)) } = this.#options
    for (let i = 0; i < times && isOn(); i++) {
      onRound?.(await same.onMajority(faults))
      counts.majorities++
      await this.#check(`after the same on a majority, ${i + 1}`, faults)
      onRound?.(await same.onAll(faults))
      counts.losses++
      await this.#check(`after the same on all, ${i + 1}`, faults)
    }
    signal?.throwIfAborted()
    await this.#judgeMachine(faults)
    faults.push(...this.#followed.faults, ...this.#cluster.deaths, ...unexpected(this.#cluster))
    const [outcomes, kinds, entries] = [this.#outcomes, this.#kinds, this.#kept.count]
    const seconds = Math.round((performance.now() - beginning) / 1000)
    const { codes } = same
    return { seed, flips: this.#flips, entries, outcomes, kinds, ...counts, codes, seconds, faults }
  }

  async #fill(): Promise<void> {
    const { scale = 1 } = this.#options
    for (let left = Math.ceil(BATCHES * scale); left > 0; left -= AT_ONCE) {
      const count = Math.min(left, AT_ONCE)
      await Promise.all(
        Array.from({ length: count }, (_, i) =>
          this.#kept.append(LOG_NAMES[i % LOG_NAMES.length]!),
        ),
      )
    }
    const commands = Math.ceil((COMMANDS * scale) / SESSIONS)
    await Promise.all(Array.from({ length: SESSIONS }, (_, i) => this.#execute(i, commands)))
  }

  /** Commands of one session, so that the machine's members have snapshots. */
  async #execute(number: number, count: number): Promise<void> {
    const { places } = this.#cluster
    const { process } = places[number % places.length]!
    const session = await insist(() => process.ask('openSession', {}))
    for (let request = 1; request <= count; request++) {
      const command = `${number}-${request}`
      const asked = { command, session, request }
      const result = await insist(() => process.ask('execute', asked))
      this.#commands.push({ name: command, result })
    }
  }

  /** Turns a bit in each of a minority, has it looked at, and says what has become of it. */
  async #round(faults: string[]): Promise<string> {
    const [cluster, draws] = [this.#cluster, this.#draws]
    const minority = Math.floor((cluster.ids.length - 1) / 2)
    const ids = draws.shuffle(cluster.ids).slice(0, draws.integer(1, minority))
    const isDown = draws.chance(0.5)
    const look = draws.pick<Look>(
      isDown ? ['restart', 'close'] : ['restart', 'close', 'scrub', 'read'],
    )
    this.#told.length = 0
    if (isDown) await this.#end(ids, look)
    const { atOnce = 1 } = this.#options
    const bits = ids.flatMap((id) => {
      return Array.from({ length: atOnce }, () => [id, turnAny(cluster.dirOf(id), draws)] as const)
    })
    this.#flips += bits.length
    for (const [, { path }] of bits) {
      this.#kinds[kindOf(path)] = (this.#kinds[kindOf(path)] ?? 0) + 1
    }
    // While some are away the others go on.
    await this.#kept.append(draws.pick(LOG_NAMES))
    if (look === 'scrub') await this.#scrub(ids)
    else if (look !== 'read') await this.#restart(ids, look)
    const files = bits.map(
      ([id, bit]) => `${id}: ${bit.path.slice(cluster.dirOf(id).length)} at ${bit.at}`,
    )
    const what = `${files.join(', ')}${isDown ? ' (down)' : ''}, then ${look}`
    await this.#check(what, faults)
    await this.#scrub(ids)
    const left = new Set(bits.flatMap(([id, bit]) => (isTurned(bit) ? [id] : [])))
    // What nobody has met yet must not wait until others are damaged.
    if (left.size > 0 && (look === 'scrub' || look === 'read')) {
      await this.#restart([...left], 'restart')
      await this.#check(`${what}, and a restart`, faults)
    }
    const ends = bits.map(([id, bit]) => this.#outcomeOf(id, bit))
    for (const end of ends) this.#outcomes[end]++
    return `${what}: ${ends.join(', ')}`
  }

  #outcomeOf(id: number, bit: Bit): keyof Outcomes {
    const kinds = this.#told.filter(({ member }) => member === id).map(({ kind }) => kind)
    if (kinds.includes('lost')) return 'lost'
    if (kinds.includes('repaired') && !isTurned(bit)) return 'repaired'
    return isTurned(bit) ? 'harmless' : 'rewritten'
  }

  #end(ids: readonly number[], look: Look): Promise<unknown> {
    const signal = look === 'close' ? 'SIGTERM' : 'SIGKILL'
    return Promise.all(ids.map((id) => this.#cluster.place(id).process.end(signal)))
  }

  async #restart(ids: readonly number[], look: Look): Promise<void> {
    await this.#end(ids, look)
    await Promise.all(ids.map((id) => this.#start(id)))
  }

  /** One whose catalog is beyond repair starts only once the others have let it begin anew: it is started again until then. */
  async #start(id: number): Promise<void> {
    const end = performance.now() + WHOLE_WITHIN_MS
    while (!(await this.#cluster.revive(id))) {
      const { refusedStarts } = this.#cluster
      if (performance.now() > end) throw new Error(`it does not start: ${refusedStarts.at(-1)}`)
      await delay(LOOK_EVERY_MS)
    }
  }

  #scrub(ids: readonly number[]): Promise<unknown> {
    return Promise.all(
      ids.map((id) => insist(() => this.#cluster.place(id).process.ask('scrub', {}))),
    )
  }

  /** Everything acknowledged is on every member, all are whole, and all have their votes. */
  async #check(what: string, faults: string[]): Promise<void> {
    const found: string[] = []
    await this.#kept.append(this.#draws.pick(LOG_NAMES)).catch((error) => {
      found.push(`nothing is acknowledged any more: ${error}`)
    })
    found.push(...(await this.#kept.differences(this.#cluster.ids)))
    const end = performance.now() + WHOLE_WITHIN_MS
    for (;;) {
      const complaints = await this.#complaints()
      if (complaints.length === 0) break
      if (performance.now() > end) found.push(...complaints)
      if (performance.now() > end) break
      await delay(LOOK_EVERY_MS)
    }
    faults.push(...found.map((text) => `${what}: ${text}`))
  }

  async #complaints(): Promise<string[]> {
    const found: string[] = []
    const voters = [...this.#cluster.ids].sort((a, b) => a - b).join()
    for (const id of this.#cluster.ids) {
      const replicas = await this.#cluster.replicas(id)
      if (!replicas) found.push(`${id} does not answer`)
      for (const { name, holes, failure, members } of replicas ?? []) {
        const isIn = [...members.voters].sort((a, b) => a - b).join() === voters
        if (holes > 0) found.push(`${name} of ${id} has ${holes} holes`)
        if (failure !== undefined) found.push(`${name} of ${id} has failed: ${failure}`)
        if (!isIn || members.outgoing.length > 0) found.push(`${name} of ${id} has not all voters`)
      }
    }
    return found
  }

  async #judgeMachine(faults: string[]): Promise<void> {
    const states = await Promise.all(
      this.#cluster.places.map(({ process }) => insist(() => process.ask('state', {}))),
    )
    faults.push(...machineFaults(states, this.#commands))
  }
}
