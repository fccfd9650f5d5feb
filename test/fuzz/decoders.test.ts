// Every decoder on random bytes and on real bytes that were changed: what it takes is what was written, and
// nothing else that it is given makes it throw, hang, or ask for memory.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TidemarkError } from 'tidemark'
import { viewOf } from '#dist/base/index.js'
import type { Random } from '#dist/io/index.js'
import { type Cursor, decodeEntries } from '#dist/log/decode.js'
import { ENTRY_HEADER_BYTES, EntryHeader, mayBeHeader } from '#dist/log/entry-format.js'
import { decodeIndex } from '#dist/log/index-format.js'
import { decodeMarks } from '#dist/log/marks-format.js'
import { decodeMeta } from '#dist/log/meta-format.js'
import { parseSegmentName, segmentName } from '#dist/log/names.js'
import { Segment } from '#dist/log/segment.js'
import { decodeSegmentHeader } from '#dist/log/segment-format.js'
import { decodeSnapshotHeader, frameChecksum, frameCrc } from '#dist/log/snapshot-format.js'
import { readFolder } from '../golden/dump.ts'
import { entryPositions, type FileKind, kindOf, resealFile } from '../golden/reseal.ts'
import { closedLog, FOLDER } from '../golden/specimens.ts'
import { below, oneOf, runCases } from './cases.ts'
import { copyContents, mutate, mutateSealed, randomBytes } from './mutations.ts'

/** What a decoder says to bytes: undefined if it refuses them. */
type Decode = (b: Uint8Array) => object | undefined

const DECODERS: Readonly<Record<FileKind, Decode>> = {
  store: (b) => accepted(decodeSegmentHeader(b)),
  index: decodeIndex,
  meta: (b) => accepted(decodeMeta(b)),
  marks: decodeMarks,
  snapshot: (b) => accepted(decodeSnapshotHeader(b)),
}

/** How many bytes each looks at; the index looks at all. */
const LOOKED_AT = { store: 64, index: Infinity, meta: Infinity, marks: Infinity, snapshot: 24 }

function accepted(result: object): object | undefined {
  if (!('problem' in result)) return result
  assert.equal(typeof result.problem, 'string')
  return undefined
}

async function realFiles(): Promise<Map<string, Uint8Array>> {
  return readFolder((await closedLog()).files, FOLDER)
}

function bytesOf(random: Random, kinds: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const length = oneOf(random, [0, 1, 23, 24, 31, 32, 39, 40, 63, 64, 65, below(random, 2000)])
  const bytes = randomBytes(random, length)
  // Most random bytes fail at the magic: give them one that a decoder knows.
  const like = oneOf(random, [...kinds.values()])
  if (below(random, 2) === 0) bytes.set(like.subarray(0, Math.min(8, length)))
  return bytes
}

describe('the decoders of whole files', () => {
  it('refuse random bytes, and do not throw', async (t) => {
    const real = await realFiles()
    await runCases(t, 20_000, ({ random, guard }) => {
      const bytes = bytesOf(random, real)
      guard.allow(bytes.length)
      for (const decode of Object.values(DECODERS)) assert.equal(decode(bytes), undefined)
    })
  })

  it('do not throw at random bytes whose checksum fits', async (t) => {
    const real = await realFiles()
    await runCases(t, 20_000, ({ random, guard }) => {
      const bytes = bytesOf(random, real)
      guard.allow(bytes.length)
      for (const kind of Object.keys(DECODERS) as FileKind[]) {
        resealFile(kind, bytes)
        DECODERS[kind](bytes)
      }
    })
  })

  it('take what was written, and nothing that was changed', async (t) => {
    const real = await realFiles()
    await runCases(t, 10_000, ({ random }) => {
      const changed = copyContents(real)
      mutate(random, changed)
      for (const [name, bytes] of changed) {
        const kind = kindOf(name)
        const before =
          kind && [...real.values()].filter((each) => isStart(each, bytes, LOOKED_AT[kind]))
        if (!kind) continue
        const decoded = DECODERS[kind](bytes)
        assert.equal(
          decoded !== undefined,
          before!.some((each) => DECODERS[kind](each)),
          name,
        )
      }
    })
  })

  it('do not throw at fields that no writer would write', async (t) => {
    const real = await realFiles()
    await runCases(t, 10_000, ({ random, guard }) => {
      const changed = copyContents(real)
      for (let i = below(random, 3); i >= 0; i--) mutateSealed(random, changed)
      for (const [name, bytes] of changed) {
        guard.allow(bytes.length)
        const kind = kindOf(name)
        if (kind) DECODERS[kind](bytes)
      }
    })
  })
})

/** True if both begin with the same `length` bytes, or are the same where that is all of them. */
function isStart(one: Uint8Array, other: Uint8Array, length: number): boolean {
  return Buffer.from(one.subarray(0, length)).equals(other.subarray(0, length))
}

describe('the decoder of entry headers', () => {
  it('takes no random bytes', async (t) => {
    const header = new EntryHeader()
    await runCases(t, 30_000, ({ random }) => {
      const bytes = randomBytes(random, ENTRY_HEADER_BYTES + below(random, 8))
      const at = below(random, bytes.length - ENTRY_HEADER_BYTES + 1)
      if (below(random, 2) === 0) bytes.fill(0, at + 20, at + 32)
      assert.equal(header.read(viewOf(bytes), at, random.uint32()), false)
      mayBeHeader(bytes, at, random.uint32(), random.uint32())
    })
  })

  it('takes a header in its own segment, and in no other', async (t) => {
    const stores = [...(await realFiles())].filter(([name]) => name.endsWith('.store'))
    const header = new EntryHeader()
    await runCases(t, 20_000, ({ random }) => {
      const [, bytes] = oneOf(random, stores)
      const at = oneOf(random, entryPositions(bytes))
      const salt = new DataView(bytes.buffer).getUint32(8, true)
      assert.equal(header.read(viewOf(bytes), at, salt), true)
      assert.equal(mayBeHeader(bytes, at, bytes.length - at, 0), true)
      // For the same bytes, two different salts never give the same checksum.
      assert.equal(
        header.read(viewOf(bytes), at, (salt ^ (1 + below(random, 2 ** 31))) >>> 0),
        false,
      )
      const changed = bytes.slice(at, at + ENTRY_HEADER_BYTES)
      changed[below(random, ENTRY_HEADER_BYTES)]! ^= 1 << below(random, 8)
      assert.equal(header.read(viewOf(changed), 0, salt), false)
    })
  })
})

describe('the decoder of entries', () => {
  /** Decodes from the first entry of a store, in chunks of the size that it asks for, to `to`. */
  function decodeStore(bytes: Uint8Array, chunkBytes: number, to: number): [number, string][] {
    const result = decodeSegmentHeader(bytes)
    assert.ok('header' in result)
    const segment = new Segment('/log', result.header)
    const { base, lastTerm } = segment
    const cursor: Cursor = { segment, offset: base, position: 64, term: lastTerm }
    const out: [number, string][] = []
    let wanted = chunkBytes
    while (cursor.offset < to) {
      const chunk = Buffer.from(bytes.subarray(cursor.position, cursor.position + wanted))
      const { position } = cursor
      const need = decodeEntries(
        chunk,
        cursor,
        0,
        to,
        (_, offset, data) => [offset, data.toString('hex')] as [number, string],
        out,
      )
      if (need === 0) continue
      if (cursor.position + need > bytes.length) break
      wanted = cursor.position === position ? Math.max(need, chunkBytes) : chunkBytes
    }
    return out
  }

  it('gives what was written or CORRUPT, in chunks of any size', async (t) => {
    const stores = [...(await realFiles())].filter(([name]) => name.endsWith('.store'))
    await runCases(t, 8000, ({ random, guard }) => {
      const [name, original] = oneOf(random, stores)
      const wanted = decodeStore(original, 4096, Number.MAX_SAFE_INTEGER)
      const changed = new Map([[name, original.slice()]])
      const isSealed = below(random, 2) === 0
      if (isSealed) mutateSealed(random, changed)
      else mutate(random, changed)
      const [bytes] = [...changed.values()]
      if (!bytes || !('header' in decodeSegmentHeader(bytes))) return
      guard.allow(bytes.length)
      try {
        const found = decodeStore(bytes, 1 + below(random, 300), Number.MAX_SAFE_INTEGER)
        if (!isSealed) assert.deepEqual(found, wanted.slice(0, found.length))
      } catch (error) {
        if (!(error instanceof TidemarkError && error.code === 'CORRUPT')) throw error
      }
    })
  })
})

describe('the decoder of snapshot frames', () => {
  it('takes a frame behind the one that it was written behind, and nowhere else', async (t) => {
    await runCases(t, 20_000, ({ random }) => {
      const frame = randomBytes(random, 8 + below(random, 50))
      const previous = random.uint32()
      new DataView(frame.buffer).setUint32(4, frameCrc(frame, previous), true)
      assert.equal(frameCrc(frame, previous), frameChecksum(frame))
      assert.notEqual(
        frameCrc(frame, (previous + 1 + below(random, 99)) >>> 0),
        frameChecksum(frame),
      )
    })
  })
})

describe('the parser of names', () => {
  it('takes the names that are written, and no others', async (t) => {
    const letters = [...'0123456789abcdefABCDEF-._ storeindextmp\n\u0000é']
    await runCases(t, 50_000, ({ random }) => {
      const base = random.uint32() * below(random, 2 ** 21)
      const id = random.uint32()
      const kind = oneOf(random, ['store', 'index'] as const)
      const name = `${segmentName(base, id)}.${kind}`
      assert.deepEqual(parseSegmentName(name), { base, id, kind })
      const at = below(random, name.length)
      const other = name.slice(0, at) + oneOf(random, letters) + name.slice(at + below(random, 2))
      const parsed = parseSegmentName(other)
      if (parsed) assert.equal(`${segmentName(parsed.base, parsed.id)}.${parsed.kind}`, other)
    })
  })
})
