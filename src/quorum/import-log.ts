import { createHash } from 'node:crypto'
import { getU48, TidemarkError } from '../base/index.ts'
import { nodeClock, nodeFiles } from '../io/index.ts'
import { type Entry, Log } from '../log/index.ts'
import type { ClusterClient } from './cluster-client.ts'
import type { TransferOptions } from './export-log.ts'
import type { ImportedReply } from './log-transfer.ts'
import { headOf, STRETCH_BYTES_MAX, STRETCH_ENTRIES_MAX } from './stretch.ts'

/** After so many failures in a row, nothing having got there in between, it is given up. */
const FAILURES_MAX = 5
const FAILED_MS = 200

export interface ImportOptions extends TransferOptions {
  /** What the import is called: a later one of that name goes on. The path of the folder by default. */
  readonly name?: string | undefined
}

export interface ImportReport {
  readonly log: string
  /** Of this call. */
  readonly entries: number
  /** The offset in the folder's log behind the last entry that was imported. */
  readonly next: number
  /** True if it has gone on where another call had ended. */
  readonly isResumed: boolean
}

/**
 * Appends what the log in the folder `dir` has below its high-water mark to a log of a cluster, which there must be: data,
 * types, timestamps and counts; offsets and terms are others. Each batch goes with a number that the log remembers, so a lost answer makes no
 * second one, and a later call of the same name goes on where this one has ended, or was interrupted. One call of a name at a time.
 *
 * Rejects with NOT_FOUND, TRIMMED if it cannot be known any more how far it has come, or what comes next is not there,
 * UNAVAILABLE also if the member has no replica of the log, UNCERTAIN: then call it again.
 */
export async function importLog(
  client: ClusterClient,
  dir: string,
  log: string,
  options: ImportOptions = {},
): Promise<ImportReport> {
  const source = await Log.open(dir, { mode: 'read' })
  try {
    const name = options.name ?? nodeFiles.realPathSync(dir)
    return await run(client, source, log, sessionOf(name, log), options)
  } finally {
    await source.close()
  }
}

function sessionOf(name: string, log: string): number {
  return getU48(createHash('sha256').update(`import ${log} ${name}`).digest(), 0)
}

interface Place {
  readonly next: number
  readonly since: number
  readonly isNew: boolean
}

async function run(
  client: ClusterClient,
  source: Log,
  log: string,
  session: number,
  { onProgress, signal }: ImportOptions,
): Promise<ImportReport> {
  await source.barrier()
  const end = source.highWaterMark
  let place = await placeOf(client, source, log, session)
  const isResumed = !place.isNew
  let entries = 0
  for (let failures = 0; place.next < end; ) {
    signal?.throwIfAborted()
    const batch = await nextBatch(source, place.next, end)
    if (batch.length === 0) break
    const heads = batch.map(headOf)
    const data = batch.map((entry) => entry.data)
    const { next: request, since } = place
    const command = { do: 'import', log, session, request, since, entries: heads } as const
    try {
      await client.exchange(command, data)
      failures = 0
      entries += batch.length
      const last = batch.at(-1)!
      place = { ...place, next: last.offset + last.count }
      onProgress?.({ at: place.next, end })
    } catch (error) {
      const code = error instanceof TidemarkError ? error.code : undefined
      const isPassing = code === 'UNCERTAIN' || code === 'UNAVAILABLE'
      if (!isPassing || ++failures > FAILURES_MAX) throw error
      await new Promise<void>((resolve) => nodeClock.after(FAILED_MS * failures, resolve, true))
      // It may be there.
      const before = place
      place = await placeOf(client, source, log, session)
      if (place.next > before.next) entries += batch.length
    }
  }
  return { log, entries, next: Math.max(place.next, end), isResumed }
}

/** Behind the last batch that is in the cluster's log. */
async function placeOf(
  client: ClusterClient,
  source: Log,
  log: string,
  session: number,
): Promise<Place> {
  const { ok } = await client.exchange({ do: 'imported', log, session })
  const { mark, last } = ok as ImportedReply
  if (!last) return { next: source.lowWaterMark, since: mark, isNew: true }
  let next = last.request
  let left = last.entries
  const reader = source.read({ from: last.request })
  for await (const entry of reader) {
    if (left-- === 0) break
    next = entry.offset + entry.count
  }
  return { next, since: mark, isNew: false }
}

async function nextBatch(source: Log, from: number, to: number): Promise<Entry[]> {
  const batch: Entry[] = []
  let bytes = 0
  for await (const entry of source.read({ from, to })) {
    bytes += entry.data.length
    const isFull = bytes > STRETCH_BYTES_MAX || batch.length === STRETCH_ENTRIES_MAX
    if (batch.length > 0 && isFull) break
    batch.push(entry)
  }
  return batch
}
