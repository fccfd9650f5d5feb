// What version 1 of a cursor's file looked like is read for ever, and is still what is written today.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { crc32 } from 'node:zlib'
import { Log } from 'tidemark'
import { ForgetfulFiles, ManualClock, seededRandom } from 'tidemark/testing'
import { dump, parseDump, readFile } from './dump.ts'

const committed = readFileSync(
  new URL('../../../test/golden/v1/cursors.txt', import.meta.url),
  'utf8',
)
const NAMES = ['fresh', 'moved', 'reset'] as const
/** What each says, by its newest slot. */
const WANTED = {
  fresh: { position: 0, sequence: 2, committedAt: 1_767_225_600_000 },
  moved: { position: 9, sequence: 6, committedAt: 1_767_225_600_040 },
  reset: { position: 2, sequence: 2, committedAt: 1_767_225_600_050 },
} as const

async function make(): Promise<ForgetfulFiles> {
  const files = new ForgetfulFiles()
  const clock = new ManualClock()
  const log = await Log.open('/log', { files, clock, random: seededRandom(1) })
  await log.appendBatch(Array.from({ length: 12 }, (_, i) => `entry ${i}`))
  const [fresh, moved, reset] = await Promise.all(NAMES.map((name) => log.cursor(name)))
  assert.equal(fresh!.position, 0)
  for (const offset of [1, 3, 5, 8]) {
    await clock.advance(10)
    await moved!.commit(offset)
    if (offset !== 3) await moved!.flush()
  }
  await reset!.commit(7)
  await clock.advance(10)
  await reset!.reset(2)
  await log.close()
  return files
}

function contentsOf(files: ForgetfulFiles): Map<string, Uint8Array> {
  const paths = NAMES.map((name) => `cursors/${name}.cursor`)
  return new Map(paths.map((path) => [path, readFile(files, `/log/${path}`)]))
}

it('the golden cursors are byte for byte what is written today', async () => {
  const text = dump(contentsOf(await make()))
  if (process.env.TIDEMARK_PRINT_GOLDEN) process.stdout.write(text)
  assert.equal(text, committed)
})

it('the golden cursors are where they were, read by this release', async () => {
  const files = await make()
  for (const [path, bytes] of parseDump(committed)) {
    const file = files.openSync(`/log/${path}`, 'write')
    file.writeSync(bytes, 0)
    file.closeSync()
  }
  const log = await Log.open('/log', { mode: 'read', files })
  for (const { name, position, committedAt } of await log.cursors.list()) {
    const wanted = WANTED[name as 'moved']
    assert.deepEqual([position, committedAt], [wanted.position, wanted.committedAt], name)
  }
  await log.close()
})

it('the golden cursors are where they were for a reader that knows only docs/format.md', () => {
  for (const [path, bytes] of parseDump(committed)) {
    const b = Buffer.from(bytes)
    assert.equal(b.length, 8232)
    const slots = [0, 4096, 8192].flatMap((at) => {
      const slot = b.subarray(at, at + 40)
      assert.equal(slot.toString('latin1', 0, 4), 'TMCU')
      assert.equal(slot.readUInt16LE(4), 1)
      assert.equal(slot.readUInt32LE(36), crc32(slot.subarray(0, 36)))
      const sequence = Number(slot.readBigUInt64LE(8))
      const position = Number(slot.readBigUInt64LE(16))
      return [{ position, sequence, committedAt: slot.readUIntLE(24, 6) }]
    })
    const newest = slots.reduce((one, other) => (other.sequence > one.sequence ? other : one))
    assert.deepEqual(newest, WANTED[path.slice(8, -7) as 'moved'])
  }
})
