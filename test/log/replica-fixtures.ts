// What the tests of a replica's log share.
import assert from 'node:assert/strict'
import type { Log, ReplicaEntry, StoredEntry } from 'tidemark'
import { type ForgetfulFiles, ManualClock } from 'tidemark/testing'
import { openOn, type PlainOptions } from './fixtures.ts'

export type ReplicaOptions = Omit<PlainOptions, 'replica'>

/** Opens a replica's log, by default with small segments and every entry indexed. */
export function openReplica(files: ForgetfulFiles, options: ReplicaOptions = {}): Promise<Log> {
  const settings = { segmentBytes: 512, indexIntervalBytes: 1, clock: new ManualClock() }
  return openOn(files, { ...settings, ...options, replica: true })
}

/** Opens a replica's log, lets `use` work with it, and closes it. */
export async function usingReplica<R>(
  files: ForgetfulFiles,
  options: ReplicaOptions,
  use: (log: Log) => Promise<R>,
): Promise<R> {
  const log = await openReplica(files, options)
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}

export function entryOf(text: string, term = 1, rest: Partial<ReplicaEntry> = {}): ReplicaEntry {
  return { term, type: 1, timestamp: 1000 + term, count: 1, data: Buffer.from(text), ...rest }
}

/** Appends each text as a batch of its own. */
export async function appendTexts(log: Log, texts: readonly string[], term = 1): Promise<number[]> {
  const ranges = await Promise.all(texts.map((text) => log.replica.append([entryOf(text, term)])))
  return ranges.map(({ first }) => first)
}

/** Everything that lies in the store, committed or not. */
export async function storedOf(
  log: Log,
  from = log.lowWaterMark,
  to = log.replica.endOffset,
): Promise<StoredEntry[]> {
  const entries: StoredEntry[] = []
  for await (const entry of log.replica.read(from, to)) entries.push(entry)
  return entries
}

/** The data of those entries, each with its offset and term: `3/2 text`. */
export async function linesOf(log: Log, from?: number, to?: number): Promise<string[]> {
  const entries = await storedOf(log, from, to)
  return entries.map(({ offset, term, data }) => `${offset}/${term} ${data.toString()}`)
}

/** The lines that entries with these texts have from `first` on. */
export function lines(texts: readonly string[], first: number, term: number): string[] {
  return texts.map((text, i) => `${first + i}/${term} ${text}`)
}

/** Checks that the log holds exactly these lines, and knows the term of each. */
export async function assertHolds(log: Log, expected: readonly string[]): Promise<void> {
  assert.deepEqual(await linesOf(log), expected)
  assert.equal(log.replica.endOffset, log.lowWaterMark + expected.length)
  for (const line of expected) {
    const [, offset, term] = /^(\d+)\/(\d+) /.exec(line)!
    assert.equal(log.replica.termAt(Number(offset)), Number(term), `term at ${offset}`)
  }
}
