import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Log, verifyLog } from 'tidemark'
import { DurableMap } from 'tidemark/machine'
import { tidemark } from '../../cli/tidemark.js'
import { Trio } from './trio.ts'

describe('a backup of a log that members keep', () => {
  it('is a plain log at the same offsets, of a moment, while appends go on', async (t) => {
    const trio = await Trio.start()
    t.after(() => trio.stop())
    const log = await trio.member(1).log('orders', { segmentBytes: 65_536 })
    const text = (i: number) => `${i} ${'abcdefgh'.repeat(50)}`
    for (let i = 0; i < 300; i += 3) await log.appendBatch([text(i), text(i + 1), text(i + 2)])
    await log.append('typed', { type: 200, timestamp: 7, count: 5 })
    const acknowledged = log.highWaterMark
    // Of a member that need not have heard yet what was acknowledged elsewhere.
    const other = await trio.member(3).log('orders')
    let isOver = false
    const going = (async () => {
      for (let i = 0; !isOver; i++) await log.append(`later ${i}`)
    })()
    const to = join(trio.dir, 'backup')
    const report = await other.backup(to)
    isOver = true
    await going
    assert.deepEqual([report.folder, report.lowWaterMark, report.linkedBytes], [to, 0, 0])
    assert(report.segments > 1 && report.highWaterMark >= acknowledged)
    assert.equal((await verifyLog(to)).sound, true)

    const plain = await Log.open(to)
    const ofCluster = log.read({ to: report.highWaterMark })
    let count = 0
    for await (const { offset, type, timestamp, count: width, data } of plain.read()) {
      const { value } = await ofCluster.next()
      const { term: _, ...expected } = value!
      assert.deepEqual({ offset, type, timestamp, count: width, data }, expected)
      count++
    }
    assert.equal((await ofCluster.next()).done, true)
    assert(count >= 301)
    assert.equal(await plain.get(0), undefined)
    assert.equal(await plain.append('restored'), report.highWaterMark)
    await plain.close()
    const { stdout } = await tidemark(['cat', to])
    assert.equal(stdout.toString().split('\n').at(-2), 'restored')
    await assert.rejects(log.backup(to), { code: 'INVALID_ARGUMENT' })
  })

  it('has the snapshots, so that what was built from the log is built from it', async (t) => {
    const trio = await Trio.start({}, 1)
    t.after(() => trio.stop())
    const log = await trio.member(1).log('stock')
    const map = await DurableMap.open<string, number>(log)
    for (let i = 0; i < 50; i++) await map.set(`key ${i}`, i)
    await map.snapshot()
    await map.set('key 0', 100)
    await log.trim(log.highWaterMark - 5)
    const to = join(trio.dir, 'backup')
    const report = await log.backup(to)
    await map.close()
    assert(report.lowWaterMark > 0)
    const plain = await Log.open(to)
    const restored = await DurableMap.open<string, number>(plain)
    assert.deepEqual([restored.get('key 0'), restored.get('key 49'), restored.size], [100, 49, 50])
    await restored.set('more', 1)
    await restored.close()
    await plain.close()
  })

  it('is not made of what is damaged', async (t) => {
    const trio = await Trio.start({ scrubBytesPerSecond: 0 }, 1)
    t.after(() => trio.stop())
    const log = await trio.member(1).log('orders', { segmentBytes: 65_536 })
    for (let i = 0; i < 100; i++) await log.append(`${i} ${'x'.repeat(1000)}`)
    const folder = join(trio.dir, '1', 'logs', String(log.status().id))
    const [first] = readdirSync(folder)
      .filter((name) => name.endsWith('.store'))
      .sort()
    const path = join(folder, first!)
    const bytes = readFileSync(path)
    bytes[bytes.indexOf('7 xxx')]! ^= 1
    writeFileSync(path, bytes, { flag: 'r+' })
    const to = join(trio.dir, 'backup')
    await assert.rejects(log.backup(to), {
      code: 'CORRUPT',
      message: /scrub it, or back up another/,
    })
    assert(!existsSync(to))
  })
})
