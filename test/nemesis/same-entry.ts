// The same entry damaged on several members: as long as one has it, all get it back; otherwise nobody makes it up.
import { setTimeout as delay } from 'node:timers/promises'
import type { Draws } from '#dist/testing/index.js'
import type { MemberError } from '../kill/quorum/process-handle.ts'
import { type Acknowledged, insist } from './acknowledged.ts'
import { type Bit, hasBytes, turn, turnIn } from './bits.ts'
import type { Cluster } from './cluster.ts'
import type { LookAnswer } from './member-process.ts'
import { textOf } from './texts.ts'

/** Those that nothing is trimmed from. */
const LOGS = ['a', 'b', 'd'] as const
const TOLD_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 20

interface Victim {
  readonly log: (typeof LOGS)[number]
  readonly id: string
  readonly offset: number
  readonly name: string
  readonly bytes: Buffer
}

export class SameEntry {
  /** With what appends to a log were refused that has a hole on all members, how often. */
  readonly codes: Record<string, number> = {}
  readonly #cluster: Cluster
  readonly #kept: Acknowledged
  readonly #draws: Draws

  constructor(cluster: Cluster, kept: Acknowledged, draws: Draws) {
    this.#cluster = cluster
    this.#kept = kept
    this.#draws = draws
  }

  /** On all but a minority: it must come back, which whoever looks at all members then sees. */
  async onMajority(faults: string[]): Promise<string> {
    const ids = this.#draws.shuffle(this.#cluster.ids).slice(0, this.#cluster.majority)
    const { victim, isDown } = await this.#damage(ids)
    await this.#scrub(ids)
    const what = `${textOfVictim(victim)} on ${ids.join(', ')}${isDown ? ' (down)' : ''}`
    faults.push(
      ...(await this.#kept.differences(this.#cluster.ids)).map((text) => `${what}: ${text}`),
    )
    const isBack = () => {
      return ids.every((id) => hasBytes(this.#cluster.dirOf(id), victim.id, victim.bytes))
    }
    if (!(await within(async () => isBack()))) faults.push(`${what}: it is not back on the disks`)
    return `the same, ${what}: it is back`
  }

  /** On all: whoever reads is told, all else can be read, and the log is appended to again only when one has it back. */
  async onAll(faults: string[]): Promise<string> {
    const { ids } = this.#cluster
    const { victim, bits, isDown } = await this.#damage(ids)
    const { log, offset } = victim
    await this.#scrub(ids)
    const what = `${textOfVictim(victim)} on all${isDown ? ' (down)' : ''}`
    const found: string[] = []
    const isTold = async () =>
      (await Promise.all(ids.map((id) => this.#hole(id, victim)))).every(Boolean)
    if (!(await within(isTold))) found.push('not all have it among their holes')
    else {
      const answers = await Promise.all(ids.map((id) => this.#readAround(id, victim)))
      found.push(...answers.flat())
      found.push(...(await this.#isStopped(log)))
    }
    const other = this.#draws.pick(LOGS.filter((one) => one !== log))
    await this.#kept
      .append(other)
      .catch((error) => found.push(`${other} is not appended to: ${error}`))
    // One disk has it again: that is enough for all.
    const [saved, bit] = this.#draws.pick([...bits])
    await this.#cluster.kill(saved)
    turn(bit.path, bit.at, bit.mask)
    await this.#cluster.revive(saved)
    faults.push(...found.map((text) => `${what}: ${text}`))
    return `the same, ${what}, and offset ${offset} of ${log} is back with ${saved}`
  }

  async #damage(ids: readonly number[]) {
    const [cluster, draws] = [this.#cluster, this.#draws]
    const log = draws.pick(LOGS)
    const [offset, name] = draws.pick([...this.#kept.of(log)])
    const bytes = Buffer.from(textOf(name))
    const state = (await insist(() => cluster.place(ids[0]!).process.ask('status', {}))).logs
    const id = String(state.find((one) => one.name === log)!.id)
    const isDown = draws.chance(0.5)
    if (isDown) await Promise.all(ids.map((one) => cluster.kill(one)))
    const bits = new Map<number, Bit>()
    for (const one of ids) {
      const bit = turnIn(cluster.dirOf(one), id, bytes, draws)
      if (!bit) throw new Error(`member ${one} does not have ${name} of ${log} on its disk`)
      bits.set(one, bit)
    }
    if (isDown) await Promise.all(ids.map((one) => cluster.revive(one)))
    return { victim: { log, id, offset, name, bytes } satisfies Victim, bits, isDown }
  }

  #scrub(ids: readonly number[]): Promise<unknown> {
    return Promise.all(
      ids.map((id) => insist(() => this.#cluster.place(id).process.ask('scrub', {}))),
    )
  }

  /** The hole in which the entry lies on a member, as its status says. */
  async #hole(id: number, { log, offset }: Victim) {
    const replica = (await this.#cluster.replicas(id))?.find(({ name }) => name === log)
    return replica?.missing.find(([from, to]) => from <= offset && offset < to)
  }

  /** What is wrong with what a member shows before, in and behind the hole. */
  async #readAround(id: number, victim: Victim): Promise<string[]> {
    const { log, offset } = victim
    const [from, to] = (await this.#hole(id, victim)) ?? [offset, offset + 1]
    const end = Math.max(...this.#kept.of(log).keys()) + 1
    const look = (from: number, to: number): Promise<LookAnswer> => {
      return insist(() => this.#cluster.place(id).process.ask('look', { log, from, to }))
    }
    const [before, within, behind] = await Promise.all([look(0, from), look(0, to), look(to, end)])
    const found = [
      ...this.#kept.compare(log, before.entries, 0, from),
      ...this.#kept.compare(log, within.entries, 0, from),
      ...this.#kept.compare(log, behind.entries, to, end),
    ]
    for (const { code, message } of [before, behind]) {
      if (code !== undefined) found.push(`beside the hole: ${code} ${message}`)
    }
    if (within.code !== 'CORRUPT') found.push(`the hole is read with ${within.code}`)
    const named = /offsets? (\d+)(?: to (\d+))? of the log/.exec(within.message ?? '')
    const [first, last] = [Number(named?.[1]), Number(named?.[2] ?? named?.[1])]
    if (!(first <= offset && offset <= last)) found.push(`it is not named: ${within.message}`)
    return found.map((text) => `member ${id}: ${text}`)
  }

  /** What lies behind a hole that all have cannot be acknowledged: the log has no leader that could. */
  async #isStopped(log: Victim['log']): Promise<string[]> {
    try {
      await this.#kept.appendOnce(log)
      return [`${log} was appended to`]
    } catch (error) {
      const { code } = error as MemberError
      this.codes[code] = (this.codes[code] ?? 0) + 1
      if (['UNAVAILABLE', 'UNCERTAIN'].includes(code)) return []
      return [`an append to ${log}: ${error}`]
    }
  }
}

function textOfVictim({ log, offset, name }: Victim): string {
  return `${name} at ${offset} of ${log}`
}

async function within(isSo: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + TOLD_WITHIN_MS
  while (!(await isSo())) {
    if (performance.now() > end) return false
    await delay(LOOK_EVERY_MS)
  }
  return true
}
