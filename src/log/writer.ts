import { BATCH_BYTES_MAX, OFFSET_MAX, SEGMENT_OFFSETS_MAX, TidemarkError } from '../base/index.ts'
import { BackgroundSync } from './background-sync.ts'
import { commitGroup } from './commit.ts'
import type { AppendedRange, AppendOptions } from './commit-log.ts'
import { ENTRY_HEADER_BYTES, type EntryKind, TYPE_DATA } from './entry-format.ts'
import type { Group } from './group.ts'
import { runJob } from './jobs.ts'
import { metaOf, writeMeta } from './meta-file.ts'
import { checkAppendOptions } from './options.ts'
import { checkBirth, checkEntries, type ReplicaEntry } from './replica-entry.ts'
import { writeIndex } from './roll.ts'
import type { Steps } from './steps.ts'
import { syncWritten } from './sync-written.ts'
import type { WriterState } from './writer-state.ts'

type Data = Uint8Array | string

const NO_OPTIONS: AppendOptions = {}

/** An entry with all that an append may say of it. */
export interface WholeEntry {
  readonly data: Data
  readonly type: number
  readonly timestamp: number
  readonly count: number
}

/** The appending side of a log: takes data in, forms groups, and has them committed in order. */
export class Writer {
  readonly #w: WriterState
  readonly #background: BackgroundSync
  /** Bytes of entries that are not yet settled. */
  #waitingBytes = 0
  readonly #enqueueCommit: (group: Group) => void
  #plain: EntryKind = { type: TYPE_DATA, term: 0, timestamp: 0, count: 1 }
  /** The turn in which `#plain` was made. */
  #plainTurn: number | undefined

  constructor(w: WriterState) {
    this.#w = w
    this.#background = new BackgroundSync(w)
    this.#enqueueCommit = (group) => {
      w.sequencer.enqueue(() => this.#commit(group))
    }
  }

  get waitingBytes(): number {
    return this.#waitingBytes
  }

  *#commit(group: Group): Steps {
    try {
      yield* commitGroup(this.#w, group)
    } finally {
      this.#waitingBytes -= group.length
    }
    this.#background.written()
  }

  append(data: Data, options: AppendOptions = NO_OPTIONS): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#addOne(data, options, resolve, reject)
    })
  }

  appendBatch(data: readonly Data[], options: AppendOptions = NO_OPTIONS): Promise<AppendedRange> {
    return new Promise((resolve, reject) => {
      checkNotEmpty(data)
      const w = this.#w
      const kind = this.#kind(options)
      const first = w.nextOffset
      const group = this.#openGroup(totalLength(data))
      this.#fill(group, () => {
        const lastIndex = data.length - 1
        for (let i = 0; i <= lastIndex; i++) {
          group.add(data[i]!, kind, i < lastIndex, w.settings.maxEntryBytes)
        }
        w.nextOffset += data.length * kind.count
      })
      const range = { first, last: w.nextOffset - kind.count }
      group.endBatch(w.nextOffset, kind.term, range, resolve, reject)
    })
  }

  /** Appends entries that differ in type, time and count, as one atomic batch. */
  appendEntries(entries: readonly WholeEntry[]): Promise<AppendedRange> {
    return new Promise((resolve, reject) => {
      checkNotEmpty(entries)
      const w = this.#w
      const kinds = entries.map(({ type, timestamp, count }) =>
        this.#kind({ type, timestamp, count }),
      )
      const first = w.nextOffset
      let last = first
      const group = this.#openGroup(entries.reduce((sum, { data }) => sum + data.length, 0))
      this.#fill(group, () => {
        for (const [i, { data }] of entries.entries()) {
          group.add(data, kinds[i]!, i < entries.length - 1, w.settings.maxEntryBytes)
          last = w.nextOffset
          w.nextOffset += kinds[i]!.count
        }
      })
      group.endBatch(w.nextOffset, w.term, { first, last }, resolve, reject)
    })
  }

  /** Appends and blocks until the entry is safe under the log's policy. */
  appendSync(data: Data, options: AppendOptions = NO_OPTIONS): number {
    const { sequencer, marks } = this.#w
    let offset: number | undefined
    let failure: unknown = new TidemarkError('IO', 'the append did not finish')
    const resolve = (result: number) => {
      offset = result
    }
    const reject = (error: unknown) => {
      failure = error
    }
    // Whoever blocks for the disk anyway need not be told that others wait for it.
    if (this.#isOverloaded(data.length)) sequencer.drainSync()
    this.#addOne(data, options, resolve, reject)
    // The caller may not come back to its event loop for long, and no timer runs before it does.
    marks.hold()
    try {
      sequencer.drainSync()
    } finally {
      marks.release()
    }
    if (offset === undefined) throw failure
    return offset
  }

  /** Appends another replica's entries as one atomic batch. */
  appendReplica(entries: readonly ReplicaEntry[]): Promise<AppendedRange> {
    return new Promise((resolve, reject) => {
      const w = this.#w
      w.checkWritable()
      checkNotEmpty(entries)
      checkEntries(entries)
      for (const entry of entries) checkBirth(entry)
      const { term } = entries[0]!
      if (!entries.every((entry) => entry.term === term)) {
        throw new TidemarkError('INVALID_ARGUMENT', 'the entries of a batch must have one term')
      }
      const first = w.nextOffset
      const group = this.#openGroup(0)
      let last = first
      this.#fill(group, () => {
        for (const [i, entry] of entries.entries()) {
          const more = i < entries.length - 1
          group.add(entry.data, entry, more, w.settings.maxEntryBytes, entry.dataCrc)
          last = w.nextOffset
          w.nextOffset += entry.count
        }
      })
      group.endBatch(w.nextOffset, term, { first, last }, resolve, reject)
    })
  }

  /** Adds a batch of one entry: the way of most appends, with nothing on it that it does not need. */
  #addOne(
    data: Data,
    options: AppendOptions,
    resolve: (offset: number) => void,
    reject: (error: unknown) => void,
  ): void {
    const w = this.#w
    const kind = this.#kind(options)
    const group = this.#openGroup(data.length)
    const offset = w.nextOffset
    const end = offset + kind.count
    const { length } = group
    checkSpan(offset, end)
    group.add(data, kind, false, w.settings.maxEntryBytes)
    w.nextOffset = end
    this.#waitingBytes += group.length - length
    group.endBatch(end, kind.term, offset, resolve, reject)
  }

  #kind(options: AppendOptions): EntryKind {
    const { clock } = this.#w.settings
    if (options === NO_OPTIONS) return this.#plainKind()
    checkAppendOptions(options)
    return {
      type: options.type ?? TYPE_DATA,
      term: this.#w.term,
      timestamp: options.timestamp ?? clock.now(),
      count: options.count ?? 1,
    }
  }

  /** What an entry without options is: the clock is read once for all that come in one turn. */
  #plainKind(): EntryKind {
    const { sequencer, settings, term } = this.#w
    const { turn } = sequencer
    if (turn === undefined || turn !== this.#plainTurn || term !== this.#plain.term) {
      this.#plain = { type: TYPE_DATA, term, timestamp: settings.clock.now(), count: 1 }
      this.#plainTurn = turn
    }
    return this.#plain
  }

  /** Adds the entries of one batch to the group, all or none. */
  #fill(group: Group, addAll: () => void): void {
    const w = this.#w
    const { length } = group
    const offset = w.nextOffset
    try {
      addAll()
      if (group.length - length > BATCH_BYTES_MAX) throw batchTooLarge(group.length - length)
      checkSpan(offset, w.nextOffset)
    } catch (error) {
      group.abandonBatch()
      w.nextOffset = offset
      throw error
    }
    this.#waitingBytes += group.length - length
  }

  /** The group for an append of so many bytes or characters. Throws OVERLOADED. */
  #openGroup(length: number): Group {
    if (this.#isOverloaded(length)) {
      const waiting = this.#waitingBytes
      const { maxPendingBytes } = this.#w.settings
      throw new TidemarkError(
        'OVERLOADED',
        `${waiting} bytes wait for the disk already, of ${maxPendingBytes} allowed (maxPendingBytes): await earlier appends, or log.drained()`,
      )
    }
    return this.#w.openGroup(this.#enqueueCommit)
  }

  #isOverloaded(length: number): boolean {
    const waiting = this.#waitingBytes
    return waiting > 0 && waiting + length + ENTRY_HEADER_BYTES > this.#w.settings.maxPendingBytes
  }

  /** Makes all that was appended durable, whatever the policy. */
  flush(): Promise<void> {
    const w = this.#w
    return runJob(w, 'sync', () => syncWritten(w))
  }

  /** Waits until everything is written, syncs it, and leaves the mark of a clean end. */
  async close(): Promise<void> {
    const w = this.#w
    await w.sequencer.idle()
    await this.#background.stop()
    try {
      if (!w.poison) await runJob(w, 'close', () => this.#seal())
    } finally {
      w.isClosed = true
      w.marks.stop()
      w.closeStore()
      w.files.close()
      w.advance.fire()
    }
  }

  *#seal(): Steps {
    const w = this.#w
    const { active, highWaterMark } = w
    if (w.clean?.highWaterMark === highWaterMark) return
    if (w.isStoreOpen) w.store.truncate(active.endPosition)
    yield* syncWritten(w)
    w.marks.publish()
    yield* writeIndex(w, active)
    const index = yield* w.files.index(active)
    // A replica with damage was not closed cleanly: its next opening must find the damage again.
    if (w.damage.length > 0) return
    const clean = {
      segmentId: active.id,
      endOffset: active.endOffset,
      endPosition: active.endPosition,
      lastTerm: active.lastTerm,
      maxTimestamp: index.maxTimestamp,
      highWaterMark,
    }
    yield* writeMeta(w.settings.files, w.folder, { ...metaOf(w), clean })
  }
}

function checkNotEmpty(batch: readonly unknown[]): void {
  if (!Array.isArray(batch)) {
    throw new TidemarkError('INVALID_ARGUMENT', `a batch must be an array, not ${typeof batch}`)
  }
  if (batch.length > 0) return
  throw new TidemarkError('INVALID_ARGUMENT', 'a batch must have at least one entry')
}

function totalLength(data: readonly Data[]): number {
  let sum = 0
  for (const one of data) sum += one.length + ENTRY_HEADER_BYTES
  return sum
}

/** The offsets of a batch must fit in one segment, and below 2^53. */
function checkSpan(first: number, end: number): void {
  if (end - first <= SEGMENT_OFFSETS_MAX && end <= OFFSET_MAX) return
  throw new TidemarkError(
    'TOO_LARGE',
    `a batch cannot span the offsets ${first} to ${end}: at most ${SEGMENT_OFFSETS_MAX} of them, below ${OFFSET_MAX}`,
  )
}

function batchTooLarge(bytes: number): TidemarkError {
  return new TidemarkError(
    'TOO_LARGE',
    `a batch of ${bytes} bytes is over the limit of ${BATCH_BYTES_MAX}; nothing was written`,
  )
}
