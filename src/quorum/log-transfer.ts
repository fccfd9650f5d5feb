import { TidemarkError } from '../base/index.ts'
import type { AdminCommand } from './admin-command.ts'
import { NOBODY } from './core/index.ts'
import type { HostedLog } from './hosted-log.ts'
import type { HostedLogs } from './hosted-logs.ts'
import type { MemberContext } from './member-context.ts'
import { OPERATION } from './operations.ts'
import { ReplicaReads } from './replica-reads.ts'
import { type EntryHead, entriesFrom, headOf, STRETCH_ENTRIES_MAX } from './stretch.ts'
import { SurvivingReader } from './surviving-reader.ts'
import {
  type AppendGroup,
  type AppendOutcome,
  decodeAppendOutcome,
  decodeReceipt,
  encodeAppendRequest,
  offsetsOf,
  TYPE_RECEIPT,
} from './wire/index.ts'

const ASK_AGAIN_MS = 20
const SESSIONS_MAX = 256

type CommandOf<K extends AdminCommand['do']> = Extract<AdminCommand, { readonly do: K }>

/** Entries of a log, from `from` on. */
export interface ReadReply {
  /** The log's number: another log of the same name has another. */
  readonly id: number
  readonly entries: readonly (readonly [offset: number, ...head: EntryHead])[]
  /** Where to go on. */
  readonly next: number
  readonly lowWaterMark: number
  readonly highWaterMark: number
}

/** How far an import has come. */
export interface ImportedReply {
  /** Everything of it that is in the log is below, and nothing comes of what was asked before. */
  readonly mark: number
  /** The number of its last batch, and how many entries that has; undefined if there is none. */
  readonly last: { readonly request: number; readonly entries: number } | undefined
}

/** The place of the next group of an import in what its leader was sent. */
interface Stream {
  readonly number: number
  next: number
}

/** What operators read of the logs on this member, and what they import into them. */
export class LogTransfer {
  readonly #context: MemberContext
  readonly #logs: HostedLogs
  readonly #streams = new Map<number, Stream>()

  constructor(context: MemberContext, logs: HostedLogs) {
    this.#context = context
    this.#logs = logs
  }

  /** Entries that anyone was told of before, as far as they fit. */
  async read({ log, from, bytes }: CommandOf<'read'>): Promise<{ ok: ReadReply; data: Buffer[] }> {
    const hosted = await this.#hosted(log)
    await hosted.barrier()
    const { clock, settings } = this.#context
    const { lowWaterMark, highWaterMark } = hosted.log
    const reads = new ReplicaReads(hosted, clock, settings.timeoutMs)
    const start = from ?? lowWaterMark
    const entries: ReadReply['entries'][number][] = []
    const data: Buffer[] = []
    let next = Math.max(start, highWaterMark)
    let size = 0
    if (start < highWaterMark) {
      const reader = new SurvivingReader(reads, { from: start, to: highWaterMark })
      for await (const entry of reader) {
        size += entry.data.length
        const isFull = size > bytes || entries.length === STRETCH_ENTRIES_MAX
        if (entries.length > 0 && isFull) {
          next = entry.offset
          break
        }
        entries.push([entry.offset, ...headOf(entry)])
        data.push(entry.data)
      }
    }
    return { ok: { id: hosted.id, entries, next, lowWaterMark, highWaterMark }, data }
  }

  /**
   * Looks for the last batch of an import, from where the log ended when this was asked for first. Rejects with TRIMMED if
   * it may have been trimmed since.
   */
  async imported({ log, session }: CommandOf<'imported'>): Promise<ImportedReply> {
    const hosted = await this.#hosted(log)
    await hosted.barrier()
    const catalog = this.#context.catalog()
    const place = { log: hosted.id, cursor: `$import-${session}` }
    const mark = hosted.log.highWaterMark
    const from = catalog.position(place) ?? (await catalog.move(place, 'make', mark)) ?? mark
    // What is asked from now on comes behind what was asked before, or not at all.
    this.#beginStream(session)
    const { live } = hosted
    if (!live) throw new TidemarkError('UNAVAILABLE', `the replica of ${log} here does not run`)
    if (live.lowWaterMark > from) {
      const text = `what was imported into ${log} may be trimmed by now; how far it came is not known`
      throw new TidemarkError('TRIMMED', text)
    }
    let last: ImportedReply['last']
    let entries = 0
    for await (const { type, more, data } of live.replica.read(from, mark)) {
      if (more) entries++
      else {
        const receipt = type === TYPE_RECEIPT ? decodeReceipt(data) : undefined
        if (receipt?.session === session) last = { request: receipt.request, entries }
        entries = 0
      }
    }
    return { mark, last }
  }

  /** Appends a batch of an import once, however often it is asked for. Rejects as an append does. */
  async import(command: CommandOf<'import'>, data: Buffer): Promise<{ first: number }> {
    const { log, session, request, since } = command
    const hosted = await this.#hosted(log)
    const { maxEntryBytes } = hosted.definition
    const entries = entriesFrom(command.entries, data).map(({ data: own, ...options }) => {
      return hosted.log.replica.entryOf(own, options, maxEntryBytes)
    })
    const group = { session, request, since, isRepeated: true, acks: 'quorum', entries } as const
    const first = await this.#append(hosted, group)
    const end = first + offsetsOf(entries)
    const isHere = () => hosted.log.highWaterMark >= end
    // It is safe; that it can be read here as well is for who goes on here.
    await hosted.until(isHere, this.#context.settings.timeoutMs, 'it is here').catch(() => {})
    return { first }
  }

  async #append(hosted: HostedLog, group: Omit<AppendGroup, 'stream' | 'place'>): Promise<number> {
    const { clock, settings } = this.#context
    const end = clock.monotonic() + settings.timeoutMs
    for (;;) {
      const { leader } = hosted
      if (leader !== NOBODY) {
        const stream = this.#streamOf(group.session)
        const place = stream.next++
        const asked = this.#ask(hosted, leader, { ...group, stream: stream.number, place })
        const outcome = await this.#within(asked, end - clock.monotonic())
        if (outcome.kind === 'done') return outcome.start
        this.#beginStream(group.session)
        if (outcome.kind !== 'refused') {
          throw new TidemarkError('UNCERTAIN', `${hosted.name}: the batch is appended, or not`)
        }
      }
      if (clock.monotonic() > end) {
        throw new TidemarkError('UNAVAILABLE', `${hosted.name} has no leader that takes anything`)
      }
      await new Promise<void>((resolve) => clock.after(ASK_AGAIN_MS, resolve, true))
    }
  }

  #ask(hosted: HostedLog, to: number, group: AppendGroup): Promise<AppendOutcome> {
    const { id, requests } = this.#context
    if (to === id) return hosted.take(group)
    const lost = (): AppendOutcome => ({ kind: 'lost' })
    return requests
      .ask(to, OPERATION.append, encodeAppendRequest(hosted.id, group))
      .then(decodeAppendOutcome)
      .catch(lost)
  }

  async #within(asked: Promise<AppendOutcome>, ms: number): Promise<AppendOutcome> {
    let cancel = () => {}
    const late = new Promise<AppendOutcome>((resolve) => {
      cancel = this.#context.clock.after(Math.max(ms, 0), () => resolve({ kind: 'lost' }), true)
    })
    try {
      return await Promise.race([asked, late])
    } finally {
      cancel()
    }
  }

  #streamOf(session: number): Stream {
    return this.#streams.get(session) ?? this.#beginStream(session)
  }

  /** By the time, so that those of a member that was asked before are behind. */
  #beginStream(session: number): Stream {
    const before = this.#streams.get(session)?.number ?? 0
    const seconds = Math.floor(this.#context.clock.now() / 1000) % 2 ** 32
    const stream = { number: Math.max(before + 1, seconds), next: 0 }
    this.#streams.delete(session)
    this.#streams.set(session, stream)
    const [oldest] = this.#streams.keys()
    if (this.#streams.size > SESSIONS_MAX) this.#streams.delete(oldest!)
    return stream
  }

  async #hosted(name: string): Promise<HostedLog> {
    const catalog = this.#context.catalog()
    await catalog.latest()
    const known = catalog.named(name)
    if (!known) throw new TidemarkError('NOT_FOUND', `there is no log ${JSON.stringify(name)}`)
    const hosted = this.#logs.get(known.id)
    if (hosted) return hosted
    const { replicas } = known.placement
    const text = `member ${this.#context.id} has no replica of ${name}; ask one of ${replicas.join(', ')}`
    throw new TidemarkError('UNAVAILABLE', text)
  }
}
