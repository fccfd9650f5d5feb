import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TidemarkError } from 'tidemark'
import {
  controlTypeOf,
  decodeRecordBatches,
  decodeRecords,
  encodeRecordBatch,
} from '#dist/protocol/index.js'
import { below, oneOf, runCases } from '../fuzz/cases.ts'
import { batchAround, GZIP, NOBODY, readAll, recordOf, seal } from './batches.ts'

const RECORDS = [
  recordOf('value', { key: Buffer.from('key'), headers: [{ key: 'h', value: Buffer.from('x') }] }),
  recordOf('', { timestamp: 1_700_000_100_000, headers: [{ key: 'h', value: null }] }),
]
const PLAIN = encodeRecordBatch(RECORDS, NOBODY)
const ZIPPED = encodeRecordBatch(RECORDS, NOBODY, GZIP)

function refuses(code: string, bytes: Buffer, problem?: RegExp): void {
  assert.throws(
    () => readAll(bytes),
    (error) => {
      assert(error instanceof TidemarkError, String(error))
      assert.equal(error.code, code)
      assert.match(error.message, /base offset -?\d+/)
      if (problem) assert.match(error.message, problem)
      return true
    },
  )
}

describe('a damaged batch', () => {
  it('is refused or left out, whichever bit is another, unless the broker writes that bit', () => {
    for (const whole of [PLAIN, ZIPPED]) {
      for (let bit = 0; bit < whole.length * 8; bit++) {
        const bytes = Buffer.from(whole)
        bytes[bit >>> 3]! ^= 0x80 >>> (bit & 7)
        const isOutside = bit < 64 || (bit >= 96 && bit < 128)
        try {
          const batches = decodeRecordBatches(bytes)
          if (isOutside) assert.equal(batches.length, 1)
          // A length that reaches beyond the end is that of a batch which was cut.
          else assert(batches.length === 0 && bit >= 64 && bit < 96, `bit ${bit} was not seen`)
        } catch (error) {
          assert(error instanceof TidemarkError, String(error))
          const isMagic = bit >= 128 && bit < 136
          assert.equal(error.code, isMagic ? 'UNSUPPORTED_VERSION' : 'CORRUPT')
        }
      }
    }
  })

  it('is left out when it is the last and cut short', () => {
    for (const last of [PLAIN, ZIPPED]) {
      const bytes = Buffer.concat([PLAIN, last])
      for (let end = PLAIN.length; end < bytes.length; end++) {
        assert.equal(decodeRecordBatches(bytes.subarray(0, end)).length, 1)
      }
      for (let end = 0; end < last.length; end++) {
        assert.deepEqual(decodeRecordBatches(last.subarray(0, end)), [])
      }
    }
  })

  it('says where it lies', () => {
    const second = Buffer.from(PLAIN)
    second.writeBigInt64BE(70_000n)
    second[70]! ^= 1
    const bytes = Buffer.concat([PLAIN, second])
    refuses('CORRUPT', bytes, new RegExp(`base offset 70000 at byte ${PLAIN.length}: .*checksum`))
  })
})

describe('a batch of another format', () => {
  it('is not supported', () => {
    for (const magic of [0, 1, 3, 0x7f, 0x80]) {
      const bytes = Buffer.from(PLAIN)
      bytes[16] = magic
      refuses('UNSUPPORTED_VERSION', bytes, magic < 2 ? /old format/ : /unknown format/)
    }
  })

  it('is seen though its length is less than that of a batch’s header', () => {
    // Offset, size, CRC, magic, attributes, timestamp, null key, value.
    const v1 = '0000000000000005 00000017 00000000 01 00 0000018bcfe56800 ffffffff 00000001 78'
    const bytes = Buffer.from(v1.replaceAll(' ', ''), 'hex')
    refuses('UNSUPPORTED_VERSION', bytes, /base offset 5 .*magic 1/)
    refuses('UNSUPPORTED_VERSION', bytes.subarray(0, 17))
    refuses('CORRUPT', bytes.subarray(0, 16), /a length of 23 bytes/)
  })

  it('is not looked for where there is no room for it', () => {
    const bytes = Buffer.alloc(61, 1)
    for (const length of [0, 4]) {
      bytes.writeInt32BE(length, 8)
      refuses('CORRUPT', bytes, /a length of/)
    }
  })
})

describe('a batch with a good checksum', () => {
  const edited = (edit: (batch: Buffer) => unknown): Buffer => {
    const batch = Buffer.from(PLAIN)
    edit(batch)
    return seal(batch)
  }

  it('is refused for what its header says', () => {
    for (const length of [-1, -(2 ** 31), 0, 4, 5, 48]) {
      refuses(
        'CORRUPT',
        edited((b) => b.writeInt32BE(length, 8)),
        /a length of/,
      )
    }
    for (const bits of [5, 6, 7]) {
      refuses(
        'CORRUPT',
        edited((b) => b.writeInt16BE(bits, 21)),
        /compression/,
      )
    }
    for (const offset of [-1n, -(2n ** 63n), 2n ** 53n - 2n, 2n ** 62n]) {
      refuses(
        'CORRUPT',
        edited((b) => b.writeBigInt64BE(offset)),
      )
    }
    for (const id of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n]) {
      refuses(
        'CORRUPT',
        edited((b) => b.writeBigInt64BE(id, 43)),
        /producer id/,
      )
    }
    refuses(
      'CORRUPT',
      edited((b) => b.writeInt32BE(-1, 23)),
      /a last offset -1 above/,
    )
    for (const count of [-1, 3, 2 ** 31 - 1]) {
      refuses(
        'CORRUPT',
        edited((b) => b.writeInt32BE(count, 57)),
        new RegExp(`at byte 0: ${count} records`),
      )
    }
  })

  it('is refused for a number of records that cannot be there', () => {
    const batch = batchAround(Buffer.alloc(13), 2 ** 31 - 1)
    refuses('CORRUPT', batch, /2147483647 records/)
    refuses('CORRUPT', batchAround(Buffer.alloc(13), 2), /2 records/)
  })

  const records: [string, string, RegExp, number?][] = [
    ['bytes behind the last', '0c000000010100 00', /behind the last/],
    ['bytes behind the last of none', '00', /behind the last/, 0],
    ['more records than fit', '0c000000010100', /2 records/, 2],
    ['fewer records than it says', '0e00000001020000 000000000000', /a varint of|of 0 bytes/, 2],
    ['a record that is longer than the rest', '0e000000010100', /a record of 7 bytes/],
    ['a record that is too short for its fields', '0a0000000101 00', /a record of 5 bytes/],
    ['a record of a negative length', '01000000010100', /a record of -1 bytes/],
    ['a record that does not fill its length', '0e00000001010000', /not fill its length/],
    ['a key that reaches out of its record', '0c000000060000 000000', /a length of 3 bytes/],
    ['a value that reaches out of its record', '0c000000010400 000000', /a length of 2 bytes/],
    ['a key of a length below null', '0c000000030100', /a length of -2 bytes/],
    ['a value of a length below null', '0c000000010300', /a length of -2 bytes/],
    ['a key of two gigabytes', '14000000feffffff0f010000', /a length of 2147483647 bytes/],
    ['fewer headers than none', '0c000000010101', /-1 headers/],
    ['more headers than fit', '10000000010104 0000', /2 headers/],
    ['headers without end', '1400000001 01feffffff0f', /2147483647 headers/],
    ['a header without a key', '1000000001010201 01', /without a key/],
    ['a header that reaches out of its record', '1000000001010204 01 0000', /a length of 2 bytes/],
    ['a varint of six bytes', 'ffffffffff01 00000000010100', /more than 32 bits/],
    ['a varint of 33 bits', '8c80808010 000000010100', /more than 32 bits/],
    ['a varint that never ends', '8c808080808080', /more than 32 bits/],
    ['a varint that is cut short', '0c000000010181 00', /cut short/],
    ['a varint that leaves its record', '0c000000020000 00', /cut short/],
    ['a varlong of eleven bytes', '2000 ffffffffffffffffff8100 00010100', /more than 64 bits/],
    ['a varlong of 65 bits', '1e00 ffffffffffffffffff02 00010100', /more than 64 bits/],
    ['a varlong that leaves its record', '0c0080808080 80808080010001010000', /cut short/],
    ['an offset below its batch', '0c000001010100', /out of order/],
    ['an offset above its batch', '0c000002010100', /out of order/],
    ['an offset twice', '0c000000010100 0c000000010100', /out of order/, 2],
    ['offsets that go down', '0c000002010100 0c000000010100', /out of order/, 2],
  ]
  for (const [what, hex, problem, count = 1] of records) {
    it(`is refused for ${what}`, () => {
      const section = Buffer.from(hex.replaceAll(' ', ''), 'hex')
      refuses('CORRUPT', batchAround(section, count), problem)
    })
  }

  it('is read though its varints are longer than they need be', () => {
    const hex = '2600 80808080808080808000 8080808000 8180808000 00 00'
    const section = Buffer.from(hex.replaceAll(' ', ''), 'hex')
    section[0] = 2 * (section.length - 1)
    const [record] = readAll(batchAround(section, 1))
    assert.deepEqual([record!.offset, record!.timestamp, record!.key], [0, 1000, null])
  })
})

describe('any bytes behind a good checksum', () => {
  /** Decodes all there is, and accepts only errors that an operator may see. */
  const decodeAll = (bytes: Buffer): void => {
    try {
      for (const batch of decodeRecordBatches(bytes)) {
        // What is compressed is given as it lies there: other bytes, as good as any.
        const read = decodeRecords(batch, (_, data) => data)
        assert.equal(read.length, batch.recordCount)
        for (const { offset } of read) assert(offset >= batch.baseOffset)
        if (batch.isControl) controlTypeOf(batch)
      }
    } catch (error) {
      assert(error instanceof TidemarkError, error instanceof Error ? error.stack : String(error))
      assert(['CORRUPT', 'UNSUPPORTED_VERSION'].includes(error.code))
    }
  }

  it('are records, CORRUPT, or another format', async (t) => {
    await runCases(t, 20_000, ({ random, guard }) => {
      const bytes = Buffer.from(random.uint32() % 4 === 0 ? Buffer.concat([PLAIN, PLAIN]) : PLAIN)
      guard.allow(bytes.length)
      for (let edits = 1 + below(random, 6); edits > 0; edits--) {
        const at = below(random, bytes.length)
        const interesting = [0, 1, 0x7f, 0x80, 0xff, 0x0f, random.uint32() & 0xff]
        bytes[at] = oneOf(random, interesting)
      }
      // Mostly the format is known, so that what is behind it is looked at.
      if (below(random, 8) > 0) bytes.set(PLAIN.subarray(0, 17))
      seal(bytes, 0, PLAIN.length)
      decodeAll(bytes)
    })
  })

  it('are records or CORRUPT where everything is drawn', async (t) => {
    await runCases(t, 10_000, ({ random, guard }) => {
      const section = Buffer.from(
        Uint8Array.from({ length: below(random, 60) }, () => {
          return below(random, 3) === 0
            ? random.uint32()
            : oneOf(random, [0, 1, 2, 12, 14, 128, 255])
        }),
      )
      guard.allow(section.length)
      const attributes = oneOf(random, [0, 0, 8, 0x20, 0x30, 1])
      decodeAll(batchAround(section, below(random, 5), { attributes }))
    })
  })
})
