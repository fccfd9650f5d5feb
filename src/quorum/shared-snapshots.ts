import { TidemarkError } from '../base/index.ts'
import type { Snapshots } from '../log/index.ts'
import type { ReplicaId } from './core/index.ts'
import type { HostedLog } from './hosted-log.ts'
import type { MemberContext } from './member-context.ts'
import { OPERATION } from './operations.ts'
import { Disconnected } from './requests.ts'
import {
  decodeMark,
  decodeOffsets,
  decodeSnapshotPart,
  encodeLogPlace,
  encodeSnapshotPartRequest,
} from './wire/index.ts'

const ASK_AGAIN_MS = 200

/** How often a peer that has nothing is asked before it is believed. */
const ROUNDS = 3

/**
 * Snapshots of what is built from a replicated log. Each member keeps its own. One that is behind the low-water mark
 * takes over another's; and the mark is raised only above what a quorum of members has in a snapshot.
 */
export class SharedSnapshots implements Snapshots {
  readonly #context: MemberContext
  readonly #hosted: HostedLog
  readonly #checkOpen: () => void
  #readings = 0
  #fetching: Promise<void> | undefined

  constructor(context: MemberContext, hosted: HostedLog, checkOpen: () => void) {
    this.#context = context
    this.#hosted = hosted
    this.#checkOpen = checkOpen
  }

  get #local(): Snapshots {
    return this.#hosted.log.snapshots
  }

  /** Those of this member; if none of them reaches the low-water mark, one of a peer is fetched first. */
  async list(): Promise<number[]> {
    this.#checkOpen()
    const offsets = await this.#local.list()
    const low = this.#hosted.log.lowWaterMark
    if (low === 0 || offsets.some((offset) => offset >= low)) return offsets
    await this.#fetchNewest()
    return this.#local.list()
  }

  async write(
    offset: number,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    this.#checkOpen()
    // What was acknowledged may still have to come here.
    if (offset > this.#hosted.log.highWaterMark) {
      await this.#whenReached(await this.#hosted.readIndex())
    }
    if (Number.isSafeInteger(offset) && offset > this.#hosted.log.highWaterMark) {
      throw new TidemarkError(
        'INVALID_ARGUMENT',
        `snapshot offset ${offset} is beyond the high-water mark ${this.#hosted.log.highWaterMark}`,
      )
    }
    await this.#local.write(offset, chunks)
  }

  read(offset: number): AsyncIterable<Uint8Array> {
    this.#checkOpen()
    return this.#local.read(offset)
  }

  async remove(offset: number): Promise<void> {
    this.#checkOpen()
    await this.#local.remove(offset)
  }

  /**
   * Resolves when what is below `mark` may go: a quorum of members has a snapshot at or above, or no member has any.
   * Rejects with INVALID_ARGUMENT if there are snapshots, but none that is as new; UNAVAILABLE.
   */
  async holdByQuorum(mark: number): Promise<void> {
    const own = await this.#local.list()
    if (own.some((offset) => offset >= mark)) await this.#spread(mark)
    else await this.#checkUnneeded(mark, own)
  }

  get #others(): ReplicaId[] {
    const { voters } = this.#hosted.status?.members ?? this.#hosted.definition.members
    return voters.filter((id) => id !== this.#context.id)
  }

  /** This member cannot give the others what they need, so they have it already or do not need it. */
  async #checkUnneeded(mark: number, own: readonly number[]): Promise<void> {
    const answers = await Promise.all(
      this.#others.map((id) => this.#offsetsOf(id).catch(() => undefined)),
    )
    const known = answers.filter((offsets) => offsets !== undefined)
    const lists = [own, ...known]
    const quorum = Math.floor((this.#others.length + 1) / 2) + 1
    if (lists.length < quorum) {
      throw new TidemarkError('UNAVAILABLE', `no quorum can say whether ${mark} is still needed`)
    }
    if (lists.every((offsets) => offsets.length === 0)) return
    const held = lists.filter((offsets) => offsets.some((offset) => offset >= mark))
    if (held.length >= quorum) return
    const newest = Math.max(...lists.flat())
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `cannot trim to ${mark}: the newest snapshot is of ${newest}, and the state since then would be lost`,
    )
  }

  /** Has a quorum take over the snapshot of this member, if they have none as new. */
  async #spread(mark: number): Promise<void> {
    const { timeoutMs } = this.#context.settings
    const others = this.#others
    const needed = Math.floor((others.length + 1) / 2)
    const end = this.#context.clock.monotonic() + timeoutMs
    const held = new Set<ReplicaId>()
    while (held.size < needed) {
      const open = others.filter((id) => !held.has(id))
      const answers = await Promise.all(open.map((id) => this.#holds(id, mark)))
      for (const [i, holds] of answers.entries()) if (holds) held.add(open[i]!)
      if (held.size >= needed) return
      if (this.#context.clock.monotonic() > end) {
        throw new TidemarkError('UNAVAILABLE', `no quorum has a snapshot at ${mark} yet`)
      }
      this.#checkOpen()
      await this.#pause()
    }
  }

  /** Takes over the snapshot of `from` that is at or above `mark`, unless there is one here. True if there is one then. */
  async hold(from: ReplicaId, mark: number): Promise<boolean> {
    if ((await this.#local.list()).some((offset) => offset >= mark)) return true
    const offsets = await this.#offsetsOf(from)
    const newest = offsets.findLast((offset) => offset >= mark)
    if (newest === undefined) return false
    return this.#fetch(from, newest)
  }

  async #holds(id: ReplicaId, mark: number): Promise<boolean> {
    const body = encodeLogPlace({ log: this.#hosted.id, mark })
    try {
      return (
        decodeMark(await this.#context.requests.ask(id, OPERATION.holdSnapshot, body)) !== undefined
      )
    } catch (error) {
      if (error instanceof Disconnected) return false
      throw error
    }
  }

  async #offsetsOf(id: ReplicaId): Promise<number[]> {
    const body = encodeLogPlace({ log: this.#hosted.id, mark: 0 })
    return decodeOffsets(await this.#context.requests.ask(id, OPERATION.snapshots, body))
  }

  /** Two who need it at the same time get one. */
  #fetchNewest(): Promise<void> {
    this.#fetching ??= this.#tryPeers().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #tryPeers(): Promise<void> {
    const end = this.#context.clock.monotonic() + this.#context.settings.timeoutMs
    for (let round = 1; ; round++) {
      const found = await this.#newestAmongPeers()
      if (found && (await this.#fetch(found.id, found.offset))) {
        await this.#whenReached(found.offset)
        return
      }
      // Nobody has one: there is no machine on this log, or none that could be helped.
      const isHopeless = found === undefined && this.#asked.size > 0 && round >= ROUNDS
      if (isHopeless || this.#context.clock.monotonic() > end) return
      this.#checkOpen()
      await this.#pause()
    }
  }

  /** Who has answered in the last round. */
  readonly #asked = new Set<ReplicaId>()

  async #newestAmongPeers(): Promise<{ id: ReplicaId; offset: number } | undefined> {
    const low = this.#hosted.log.lowWaterMark
    let best: { id: ReplicaId; offset: number } | undefined
    this.#asked.clear()
    for (const id of this.#context.connected()) {
      const offsets = await this.#offsetsOf(id).catch(() => undefined)
      if (!offsets) continue
      this.#asked.add(id)
      const newest = offsets.at(-1)
      if (newest !== undefined && newest >= low && newest > (best?.offset ?? -1)) {
        best = { id, offset: newest }
      }
    }
    return best
  }

  /** A snapshot of more than is here yet is of no use before that has come. */
  async #whenReached(offset: number): Promise<void> {
    const { timeoutMs } = this.#context.settings
    const isSo = () => this.#hosted.log.highWaterMark >= offset
    await this.#hosted.until(isSo, timeoutMs, `${this.#hosted.name} has come to ${offset}`)
  }

  /** True if it is here, whole. */
  async #fetch(from: ReplicaId, offset: number): Promise<boolean> {
    try {
      await this.#local.write(offset, this.#parts(from, offset))
      return true
    } catch (error) {
      // The peer has gone, or has a newer one instead.
      if (error instanceof Disconnected || error instanceof Gone) return false
      throw error
    }
  }

  async *#parts(from: ReplicaId, mark: number): AsyncGenerator<Uint8Array> {
    const { requests } = this.#context
    const reading = this.#readings++ % 2 ** 32
    for (let number = 0; ; number++) {
      const body = encodeSnapshotPartRequest({ log: this.#hosted.id, mark, reading, part: number })
      const part = decodeSnapshotPart(await requests.ask(from, OPERATION.snapshotPart, body))
      if (!part) throw new Gone()
      if (part.bytes.length > 0) yield part.bytes
      if (part.isLast) return
    }
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => this.#context.clock.after(ASK_AGAIN_MS, resolve, true))
  }
}

/** The snapshot is not there any more. */
class Gone extends Error {}
