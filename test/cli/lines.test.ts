import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LineSplitter } from '#dist/cli/lines.js'

function split(chunks: readonly Uint8Array[], maxBytes = 1 << 20): string[] {
  const splitter = new LineSplitter(maxBytes)
  const lines: Buffer[] = []
  for (const chunk of chunks) splitter.push(Buffer.from(chunk), lines)
  const last = splitter.end()
  if (last) lines.push(last)
  return lines.map((line) => line.toString('latin1'))
}

describe('LineSplitter', () => {
  it('cuts at newlines and nowhere else, however the bytes arrive', () => {
    const byte = fc.oneof(fc.constant(10), fc.constant(13), fc.integer({ min: 0, max: 255 }))
    const chunk = fc.array(byte, { maxLength: 20 }).map((bytes) => Uint8Array.from(bytes))
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 20 }), (chunks) => {
        const lines = Buffer.concat(chunks).toString('latin1').split('\n')
        if (lines.at(-1) === '') lines.pop()
        assert.deepEqual(split(chunks), lines)
      }),
    )
  })

  it('holds no more of a line than it may', () => {
    const bytes = (text: string) => Buffer.from(text)
    assert.deepEqual(split([bytes('1234'), bytes('5\n12345')], 5), ['12345', '12345'])
    for (const chunks of [['123456'], ['123', '456'], ['12345', '6\n'], ['a\n123456\n']]) {
      const line = chunks[0] === 'a\n123456\n' ? 2 : 1
      assert.throws(() => split(chunks.map(bytes), 5), {
        code: 'TOO_LARGE',
        message: new RegExp(`^line ${line} has more than the 5 bytes`),
      })
    }
  })
})
