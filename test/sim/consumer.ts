// One consumer of a simulated day: it reads at its own pace, commits, goes away and comes back.
import assert from 'node:assert/strict'
import type { DurableCursor, Log } from 'tidemark'
import { TidemarkError } from 'tidemark'
import type { DayModel } from './day-model.ts'

export class Consumer {
  readonly name: string
  readonly #everyMs: number
  readonly #takes: number
  #cursor: DurableCursor | undefined
  /** Where it is. */
  #position = 0
  /** What it committed last: behind the position where the log did not wait for it. */
  #committed = 0
  /** What a power loss may take it back to. */
  #durable = 0
  #nextAt = 0
  commits = 0
  missed = 0
  /** True once the cursor was made: from then on it holds a trim back. */
  exists = false

  constructor(name: string, everyMs: number, takes: number) {
    this.name = name
    this.#everyMs = everyMs
    this.#takes = takes
  }

  get position(): number {
    return this.#position
  }

  get isHere(): boolean {
    return this.#cursor !== undefined
  }

  isDue(now: number): boolean {
    return this.isHere && now >= this.#nextAt
  }

  /** Opens the cursor: it is where it was left, or as far on as the log has forgotten. */
  async arrive(log: Log): Promise<void> {
    const cursor = await log.cursor(this.name)
    const low = log.lowWaterMark
    assert.equal(cursor.position, Math.max(this.#committed, low), `${this.name} is elsewhere`)
    if (this.exists) assert.equal(cursor.missed, Math.max(0, low - this.#committed), this.name)
    if (!this.exists) this.#committed = cursor.position
    this.exists = true
    this.#position = cursor.position
    this.#cursor = cursor
  }

  async leave(): Promise<void> {
    const cursor = this.#cursor
    this.#cursor = undefined
    await cursor?.close()
    this.#durable = this.#committed
  }

  /** Reads the next few entries, checks that none is left out, and commits them. */
  async consume(log: Log, model: DayModel, now: number): Promise<void> {
    this.#nextAt = now + this.#everyMs
    const cursor = this.#cursor!
    if (cursor.isSynced) this.#durable = this.#committed
    let expected = this.#position
    try {
      for await (const entry of cursor.read({ follow: false })) {
        assert.equal(entry.offset, expected, `${this.name} was not given every entry`)
        model.check(entry)
        expected++
        if (expected - this.#position === this.#takes) break
      }
    } catch (error) {
      if (!(error instanceof TidemarkError && error.code === 'TRIMMED')) throw error
      // The log did not wait for it. It begins again where the log does.
      await this.leave()
      await this.arrive(log)
      return
    }
    if (expected === this.#position) return
    await cursor.commit(expected - 1)
    this.missed += this.#position - this.#committed
    this.#position = expected
    this.#committed = expected
    this.commits++
  }

  /** The power went: it may be back at an earlier commit, and not beyond the end of the log. */
  async powerLost(log: Log): Promise<void> {
    this.#cursor = undefined
    const { lowWaterMark: low, highWaterMark: high } = log
    const info = (await log.cursors.list()).find(({ name }) => name === this.name)
    if (!info) {
      assert.ok(this.#durable === 0, `${this.name} is gone, though it was on the disk`)
      this.exists = false
      this.#position = 0
      this.#committed = 0
      return
    }
    assert.equal(info.problem, undefined)
    const least = Math.max(low, Math.min(this.#durable, high))
    const most = Math.max(low, Math.min(this.#committed, high))
    const found = info.position!
    assert.ok(found >= least && found <= most, `${this.name} is at ${found}: ${least} to ${most}`)
    this.#position = found
    this.#committed = found - info.missed
    this.#durable = this.#committed
  }

  /** The process ended: the cursor is where its last commit put it. */
  killed(): void {
    this.#cursor = undefined
  }
}
