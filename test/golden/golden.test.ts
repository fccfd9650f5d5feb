// What version 1 of the format wrote is read for ever, and is still what is written today.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { type Entry, Log, type LogOptions, verifyLog } from 'tidemark'
import { type Files, seededRandom } from '#dist/io/index.js'
import { ManualClock } from '#dist/simulation/index.js'
import { dump, parseDump, readFolder, writeFolder } from './dump.ts'
import { readPlainly } from './plain-reader.ts'
import { FOLDER, type GoldenContents, type GoldenEntry, SPECIMENS } from './specimens.ts'

const golden = new URL('../../../test/golden/v1/', import.meta.url)

function committed(name: string): { text: string; contents: GoldenContents } {
  const text = readFileSync(new URL(`${name}.txt`, golden), 'utf8')
  const json = readFileSync(new URL(`${name}.json`, golden), 'utf8')
  return { text, contents: JSON.parse(json) as GoldenContents }
}

function open(files: Files, options: Omit<LogOptions, 'codec'> = {}): Promise<Log> {
  const fixed = { files, clock: new ManualClock(), random: seededRandom(1) }
  return Log.open(FOLDER, { segmentBytes: 640, ...fixed, ...options })
}

function plain({ offset, term, type, timestamp, count, data }: Entry): GoldenEntry {
  return { offset, term, type, timestamp, count, data: data.toString('base64') }
}

async function readAll(log: Log, options = {}): Promise<GoldenEntry[]> {
  const entries: GoldenEntry[] = []
  for await (const entry of log.read(options)) entries.push(plain(entry))
  return entries
}

async function readStored({ lowWaterMark, replica }: Log): Promise<GoldenEntry[]> {
  const entries: GoldenEntry[] = []
  for await (const entry of replica.read(lowWaterMark, replica.endOffset))
    entries.push(plain(entry))
  return entries
}

/** Reads a log in every way there is, and compares it with what must be in it. */
async function expectContents(log: Log, expected: GoldenContents): Promise<void> {
  const entries = expected.entries.filter(({ offset }) => offset < expected.highWaterMark)
  assert.equal(log.lowWaterMark, expected.lowWaterMark)
  assert.equal(log.highWaterMark, expected.highWaterMark)
  assert.deepEqual(await readAll(log), entries)
  assert.deepEqual(await readAll(log, { reverse: true }), entries.toReversed())
  for (const entry of entries) {
    const first = Math.max(entry.offset, expected.lowWaterMark)
    for (const offset of [first, entry.offset + entry.count - 1]) {
      assert.deepEqual(plain((await log.get(offset))!), entry, `get ${offset}`)
    }
    const at = entries.findIndex(({ timestamp }) => timestamp >= entry.timestamp)
    const found = await readAll(log, { fromTimestamp: entry.timestamp })
    assert.deepEqual(found, entries.slice(at), `from timestamp ${entry.timestamp}`)
  }
  const snapshots = []
  for (const offset of await log.snapshots.list()) {
    const chunks: Uint8Array[] = []
    for await (const chunk of log.snapshots.read(offset)) chunks.push(chunk)
    snapshots.push({ offset, data: Buffer.concat(chunks).toString('base64') })
  }
  assert.deepEqual(snapshots, expected.snapshots)
}

/** What a log shows: not what the quorum has put into it. */
function shownOf<C extends { entries: readonly { type: number }[] }>(contents: C): C {
  const entries = contents.entries.filter(({ type }) => type === 1 || type >= 128)
  return { ...contents, entries }
}

for (const name of Object.keys(SPECIMENS) as (keyof typeof SPECIMENS)[]) {
  describe(`the golden log "${name}" of version 1`, () => {
    const { text, contents } = committed(name)

    it('holds what the list beside it says, read by this release', async () => {
      const files = writeFolder(parseDump(text), FOLDER)
      assert.equal((await verifyLog(FOLDER, { files })).sound, true)
      const reader = await open(files, { mode: 'read' })
      await expectContents(reader, shownOf(contents))
      await reader.close()
      assert.equal(dump(readFolder(files, FOLDER)), text, 'reading has changed something')
      const { isReplica: replica } = contents
      const writer = await open(files, { replica })
      await expectContents(writer, shownOf(contents))
      if (replica) assert.deepEqual(await readStored(writer), contents.entries)
      await writer.close()
    })

    it('is gone on with: what is appended to it comes behind it', async () => {
      const files = writeFolder(parseDump(text), FOLDER)
      const { isReplica: replica, entries } = contents
      const last = entries.at(-1)!
      const fields = { term: last.term + 1, type: 1, timestamp: new ManualClock().now(), count: 1 }
      const data = Buffer.from('and on')
      const log = await open(files, { replica })
      const offset = last.offset + last.count
      if (replica) await log.replica.append([{ ...fields, data }])
      else assert.equal(await log.append(data), offset)
      if (replica) log.replica.commit(offset + 1)
      await log.close()
      const appended = { offset, ...fields, data: data.toString('base64') }
      const grown = { ...contents, highWaterMark: offset + 1, entries: [...entries, appended] }
      const again = await open(files, { replica })
      await expectContents(again, shownOf(grown))
      await again.close()
      assert.equal((await verifyLog(FOLDER, { files })).sound, true)
    })

    it('holds the same for a reader that knows only docs/format.md', () => {
      assert.deepEqual(readPlainly(parseDump(text)), contents)
    })

    it('is byte for byte what is written today', async () => {
      const made = await SPECIMENS[name]()
      const hint =
        'The bytes on the disk have changed. A change of the format needs a new version, and golden files of its own.'
      assert.deepEqual(made.contents, contents)
      assert.equal(dump(readFolder(made.files, FOLDER)), text, hint)
    })
  })
}

it('the golden log "replica" has a cut with dead bytes behind it, and entries that are not committed', () => {
  const { text, contents } = committed('replica')
  const names = [...parseDump(text).keys()].filter((name) => name.endsWith('.store'))
  assert.equal(names.filter((name) => name.startsWith(`${'0'.repeat(18)}16-`)).length, 1)
  assert.match(text, new RegExp(hexOf('never comm').join(' ?(?:\\n[0-9a-f]{6}  )?')))
  assert.ok(contents.entries.at(-1)!.offset >= contents.highWaterMark)
})

function hexOf(word: string): string[] {
  return [...Buffer.from(word)].map((byte) => byte.toString(16))
}

it('the golden log "closed" has all that the format can express', () => {
  const { text, contents } = committed('closed')
  const names = [...parseDump(text).keys()]
  assert.ok(names.filter((name) => name.endsWith('.store')).length >= 3)
  assert.ok(names.filter((name) => name.endsWith('.index')).length >= 3)
  assert.ok(contents.lowWaterMark > 0 && contents.snapshots.length === 2)
  const { entries } = contents
  assert.ok(entries.some(({ data }) => data === ''))
  assert.ok(entries.some(({ count }) => count > 1) && entries.some(({ type }) => type === 255))
  assert.ok(new Set(entries.map(({ term }) => term)).size === 3)
})
