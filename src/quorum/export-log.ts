import { resolve } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import { type Files, nodeFiles } from '../io/index.ts'
import { Log } from '../log/index.ts'
import type { ClusterClient } from './cluster-client.ts'
import type { ReadReply } from './log-transfer.ts'
import { entriesFrom, STRETCH_BYTES_MAX } from './stretch.ts'

export interface TransferOptions {
  /** Called as it goes on: how far it has come, in offsets of the log that is read, and how far it goes. */
  readonly onProgress?: ((done: { readonly at: number; readonly end: number }) => void) | undefined
  /** Stops it between two batches; the next call goes on. */
  readonly signal?: AbortSignal | undefined
}

export interface ExportReport {
  readonly folder: string
  /** Of this call. */
  readonly entries: number
  /** The offset in the cluster's log behind the last entry that was exported, and the end of the log in the folder. */
  readonly next: number
  readonly end: number
  /** True if it has gone on where another call had ended. */
  readonly isResumed: boolean
}

/** What lies beside the folder: with `end` entries' end, everything below `next` is there. */
interface State {
  readonly cluster: string
  readonly log: string
  readonly id: number
  readonly next: number
  readonly end: number
}

/**
 * Appends what a log of a cluster has, up to what anyone was told of when this was called, to the log in the folder
 * `dir`, which is made if there is none: data, types, timestamps and counts; offsets and terms are others. A later call with the same
 * folder goes on where this one has ended, or was interrupted: nothing is left out, nothing comes twice. How far it is lies
 * beside the folder, in `<dir>.export.json`.
 *
 * Rejects with INVALID_ARGUMENT for a folder that has something else in it, TRIMMED if what comes next was trimmed,
 * UNAVAILABLE also if the member has no replica of the log, or like `Log.open` and `append`.
 */
export async function exportLog(
  client: ClusterClient,
  log: string,
  dir: string,
  options: TransferOptions = {},
): Promise<ExportReport> {
  const folder = resolve(dir)
  const first = await readStretch(client, log)
  const target = await Log.open(folder)
  try {
    return await new Export(client, log, folder, target, options).run(first.reply)
  } finally {
    await target.close()
  }
}

class Export {
  readonly #client: ClusterClient
  readonly #log: string
  readonly #folder: string
  readonly #target: Log
  readonly #options: TransferOptions
  readonly #files: Files = nodeFiles
  #entries = 0

  constructor(
    client: ClusterClient,
    log: string,
    folder: string,
    target: Log,
    options: TransferOptions,
  ) {
    this.#client = client
    this.#log = log
    this.#folder = folder
    this.#target = target
    this.#options = options
  }

  async run({ id, lowWaterMark, highWaterMark }: ReadReply): Promise<ExportReport> {
    const { onProgress, signal } = this.#options
    const known = this.#known(id)
    const isResumed = known !== undefined
    let state = known ?? this.#keep({ ...this.#names(id), next: lowWaterMark, end: 0 })
    // Appended, and then the process ended: it is counted, since it is not written down.
    let surplus = await this.#countFrom(state.end)
    while (state.next < highWaterMark) {
      signal?.throwIfAborted()
      const { reply, data } = await readStretch(this.#client, this.#log, state.next)
      if (reply.id !== id) throw strange(`${this.#log} was deleted, and made again`)
      const heads = reply.entries.map(([, ...head]) => head)
      const entries = entriesFrom(heads, data)
      const fresh = entries.slice(surplus)
      surplus -= entries.length - fresh.length
      const appended = fresh.map(({ data: own, type, timestamp, count }) => {
        return this.#target.append(own, { type, timestamp, count })
      })
      await Promise.all(appended)
      this.#entries += fresh.length
      state = this.#keep({ ...state, next: reply.next, end: this.#target.highWaterMark })
      onProgress?.({ at: reply.next, end: highWaterMark })
    }
    const { next, end } = state
    return { folder: this.#folder, entries: this.#entries, next, end, isResumed }
  }

  #names(id: number) {
    return { cluster: this.#client.cluster, log: this.#log, id }
  }

  get #path(): string {
    return `${this.#folder}.export.json`
  }

  #known(id: number): State | undefined {
    const isThere = this.#files.existsSync(this.#path)
    const isEmpty = this.#target.highWaterMark === 0
    if (!isThere && isEmpty) return undefined
    if (!isThere) throw strange(`${this.#folder} has entries, and no export has made them`)
    const state = readState(this.#files, this.#path)
    const names = this.#names(id)
    const isSame = state.cluster === names.cluster && state.log === names.log && state.id === id
    if (!isSame)
      throw strange(`${this.#path} is of log ${state.id}, ${state.log}, of ${state.cluster}`)
    if (state.end <= this.#target.highWaterMark) return state
    throw strange(`${this.#folder} ends before what ${this.#path} says: it is another log`)
  }

  /** Behind what is in the log: never before. */
  #keep(state: State): State {
    const temporary = `${this.#path}.tmp`
    if (this.#files.existsSync(temporary)) this.#files.removeSync(temporary)
    const file = this.#files.openSync(temporary, 'create')
    try {
      file.writeSync(Buffer.from(`${JSON.stringify(state)}\n`), 0)
      file.datasyncSync()
    } finally {
      file.closeSync()
    }
    this.#files.renameSync(temporary, this.#path)
    return state
  }

  async #countFrom(from: number): Promise<number> {
    let count = 0
    const reader = this.#target.read({ from })
    for await (const batch of { [Symbol.asyncIterator]: () => reader.batches() })
      count += batch.length
    return count
  }
}

function readState(files: Files, path: string): State {
  try {
    const file = files.openSync(path, 'read')
    try {
      const bytes = Buffer.alloc(Math.min(file.sizeSync(), 65_536))
      file.readSync(bytes, 0)
      const state = JSON.parse(bytes.toString()) as State
      if ([state.id, state.next, state.end].every(Number.isSafeInteger)) return state
    } finally {
      file.closeSync()
    }
  } catch {
    // Said below.
  }
  throw strange(`${path} is not what an export writes`)
}

async function readStretch(client: ClusterClient, log: string, from?: number) {
  const command = { do: 'read', log, bytes: STRETCH_BYTES_MAX } as const
  const { ok, data } = await client.exchange(from === undefined ? command : { ...command, from })
  const reply = ok as ReadReply
  const isRead = Array.isArray(reply?.entries) && Number.isSafeInteger(reply.next)
  const moves = isRead && (from === undefined || reply.next > from || reply.highWaterMark <= from)
  if (moves) return { reply, data }
  throw new TidemarkError('UNAVAILABLE', 'the member has answered something else than entries')
}

function strange(text: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', text)
}
