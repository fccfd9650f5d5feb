// A second reader of the format, written from docs/format.md and from nothing else: it imports nothing of
// the library. If the page leaves something out or is wrong, this reader cannot find what is there.

import { crc32 } from 'node:zlib'

export interface PlainEntry {
  readonly offset: number
  readonly term: number
  readonly type: number
  readonly timestamp: number
  readonly count: number
  readonly data: string
}

export interface PlainLog {
  readonly isReplica: boolean
  readonly lowWaterMark: number
  readonly highWaterMark: number
  readonly entries: PlainEntry[]
  readonly snapshots: { offset: number; data: string }[]
}

type Contents = ReadonlyMap<string, Uint8Array>

interface Store {
  readonly bytes: Buffer
  readonly id: number
  readonly base: number
  readonly predecessor: number
  readonly predecessorEnd: number
  readonly sequence: number
  readonly previousTerm: number
}

function check(condition: boolean, problem: string): void {
  if (!condition) throw new Error(problem)
}

function u48(b: Buffer, at: number): number {
  return b.readUIntLE(at, 6)
}

function u64(b: Buffer, at: number): number {
  return Number(b.readBigUInt64LE(at))
}

function buffer(bytes: Uint8Array | undefined, name: string): Buffer {
  check(bytes !== undefined, `there is no ${name}`)
  return Buffer.from(bytes!)
}

/** Checks what the headers of store, meta, index and snapshot have in common. */
function checkHeader(b: Buffer, magic: string, crcAt: number, crc: number): void {
  check(b.toString('latin1', 0, 4) === magic, `the magic is not ${magic}`)
  check(b.readUInt32LE(crcAt) === crc, `the checksum of ${magic}`)
  check(b.readUInt16LE(4) === 1, `the version of ${magic}`)
}

function readStore(name: string, bytes: Buffer): Store {
  checkHeader(bytes, 'TMSG', 60, crc32(bytes.subarray(0, 60)))
  const id = bytes.readUInt32LE(8)
  const base = u64(bytes, 16)
  const wanted = `${String(base).padStart(20, '0')}-${id.toString(16).padStart(8, '0')}.store`
  check(name === wanted, `${name} holds ${wanted}`)
  return {
    bytes,
    id,
    base,
    predecessor: bytes.readUInt32LE(12),
    predecessorEnd: bytes.readUInt32LE(24),
    sequence: bytes.readUInt32LE(28),
    previousTerm: bytes.readUInt32LE(32),
  }
}

/** The living segments, oldest first. */
function readChain(contents: Contents, lowWaterMark: number): Store[] {
  const stores = [...contents]
    .filter(([name]) => name.endsWith('.store'))
    .map(([name, bytes]) => readStore(name, Buffer.from(bytes)))
  let at = stores.reduce((newest, store) => (store.sequence > newest.sequence ? store : newest))
  const chain = [at]
  while (at.predecessor !== 0 && at.base > lowWaterMark) {
    const before = stores.find((store) => store.id === at.predecessor)
    check(before !== undefined, `segment ${at.predecessor} is missing`)
    check(before!.sequence < at.sequence, 'the segments are out of order')
    check(before!.bytes.length >= at.predecessorEnd, 'a segment is short')
    at = before!
    chain.unshift(at)
  }
  return chain
}

/** The sound entries of a store up to `end`, and where the last whole batch ends. */
function readEntries(store: Store, end: number): { entries: PlainEntry[]; end: number } {
  const { bytes: b, id, base } = store
  let entries: PlainEntry[] = []
  const whole: PlainEntry[] = []
  let at = 64
  let wholeEnd = at
  let offset = base
  let term = store.previousTerm
  while (at + 40 <= end && b[at + 38] !== 0) {
    const crc = crc32(b.subarray(at + 16, at + 40), crc32(b.subarray(at, at + 12), id))
    if (crc !== b.readUInt32LE(at + 12)) break
    const length = b.readUInt32LE(at + 8)
    const data = b.subarray(at + 40, at + 40 + length)
    if (at + 40 + length > end || crc32(data) !== b.readUInt32LE(at + 4)) break
    if (base + b.readUInt32LE(at) !== offset || b.readUInt32LE(at + 16) < term) break
    term = b.readUInt32LE(at + 16)
    const count = b.readUInt32LE(at + 20)
    const fields = { term, type: b[at + 38]!, timestamp: u48(b, at + 32), count }
    entries.push({ offset, ...fields, data: data.toString('base64') })
    offset += count
    at += 40 + length
    if ((b[at - length - 1]! & 1) !== 0) continue
    whole.push(...entries)
    entries = []
    wholeEnd = at
  }
  return { entries: whole, end: wholeEnd }
}

function checkIndex(store: Store, b: Buffer, end: number): void {
  checkHeader(b, 'TMIX', 28, crc32(b.subarray(32), crc32(b.subarray(0, 28))))
  check(
    b.readUInt32LE(8) === store.id && b.readUInt32LE(12) === end,
    'the index is of another store',
  )
  const count = b.readUInt32LE(16)
  check(b.length === 32 + 16 * count, 'the size of the index')
  let highest = 0
  let position = 64
  for (let point = 0; point < count; point++) {
    const at = 32 + 16 * point
    for (
      ;
      position < b.readUInt32LE(at + 4);
      position += 40 + store.bytes.readUInt32LE(position + 8)
    )
      highest = Math.max(highest, u48(store.bytes, position + 32))
    check(position === b.readUInt32LE(at + 4), 'an index point lies between two entries')
    check(store.bytes.readUInt32LE(position) === b.readUInt32LE(at), 'an index point is wrong')
    check(u48(b, at + 8) === highest, 'the timestamp of an index point is wrong')
  }
}

function readSnapshot(name: string, b: Buffer): { offset: number; data: string } {
  checkHeader(b, 'TMSN', 20, crc32(b.subarray(0, 20)))
  const offset = u64(b, 8)
  check(name === `snapshots/${String(offset).padStart(20, '0')}.snapshot`, 'the name of a snapshot')
  const frames: Buffer[] = []
  let crc = b.readUInt32LE(20)
  for (let at = 24; ; ) {
    const length = b.readUInt32LE(at)
    const data = b.subarray(at + 8, at + 8 + length)
    crc = crc32(data, crc32(b.subarray(at, at + 4), crc))
    check(crc === b.readUInt32LE(at + 4), 'the checksum of a frame')
    at += 8 + length
    if (length > 0) frames.push(data)
    else {
      check(at === b.length, 'a snapshot goes on behind its end')
      return { offset, data: Buffer.concat(frames).toString('base64') }
    }
  }
}

/** Reads a log whose writer has ended. Throws where the page says that a log is not sound. */
export function readPlainly(contents: Contents): PlainLog {
  const meta = buffer(contents.get('meta'), 'meta')
  checkHeader(meta, 'TMMT', 60, crc32(meta.subarray(0, 60)))
  const isClean = (meta.readUInt16LE(6) & 1) !== 0
  let lowWaterMark = u64(meta, 8)
  const chain = readChain(contents, lowWaterMark)
  const [first] = chain
  if (first!.predecessor === 0) lowWaterMark = Math.max(lowWaterMark, first!.base)
  const entries: PlainEntry[] = []
  for (const [i, store] of chain.entries()) {
    const next = chain[i + 1]
    const limit = next?.predecessorEnd ?? store.bytes.length
    const found = readEntries(store, limit)
    if (next || isClean) check(found.end === limit, `a segment ends at ${found.end}, not ${limit}`)
    entries.push(...found.entries)
    const name = `${String(store.base).padStart(20, '0')}-${store.id.toString(16).padStart(8, '0')}`
    const index = contents.get(`${name}.index`)
    if (index && (next || isClean)) checkIndex(store, Buffer.from(index), limit)
  }
  const last = entries.at(-1)
  const end = last ? last.offset + last.count : chain.at(-1)!.base
  if (isClean) {
    check(meta.readUInt32LE(20) === chain.at(-1)!.id, 'the clean end is in another segment')
    check(u64(meta, 24) === end, 'the clean end is elsewhere')
  }
  const marks = buffer(contents.get('marks'), 'marks')
  check(marks.toString('latin1', 0, 4) === 'TMMK', 'the magic of the marks')
  check(marks.readUInt32LE(28) === crc32(marks.subarray(0, 28)), 'the checksum of the marks')
  check(u64(marks, 8) <= end, 'what was synced is gone')
  const snapshots = [...contents]
    .filter(([name]) => name.startsWith('snapshots/'))
    .map(([name, bytes]) => readSnapshot(name, Buffer.from(bytes)))
  // Type 127: what a repair has given up.
  const sound = entries.filter(({ type }) => type !== 127)
  const kept = sound.filter((entry) => entry.offset + entry.count > lowWaterMark)
  const isReplica = (meta.readUInt16LE(6) & 2) !== 0
  const committed = Math.max(lowWaterMark, isClean ? u64(meta, 46) : u64(marks, 16))
  const highWaterMark = isReplica ? Math.min(committed, end) : end
  return { isReplica, lowWaterMark, highWaterMark, entries: kept, snapshots }
}
