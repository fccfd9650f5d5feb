import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { freshLog, jsonLines, parseLines, Tidemark, tidemark, until } from './tidemark.js'

/** Feeds bursts of numbered lines to a writer for a while; returns the number of the next line. */
async function feed(writer: Tidemark, from: number, ms: number): Promise<number> {
  const end = performance.now() + ms
  let next = from
  while (performance.now() < end) {
    let burst = ''
    for (const last = next + 1 + ((next * 7919) % 300); next < last; next++)
      burst += `line ${next}\n`
    writer.stdin.write(burst)
    await delay(next % 3)
  }
  return next
}

describe('tidemark cat --follow', () => {
  it('shows every entry once and in order, and none that is gone after a kill', async (t) => {
    const log = freshLog(t)
    assert.equal((await tidemark(['append', log], 'line 0\n')).code, 0)
    const reader = new Tidemark(['cat', log, '--follow', '--json'])
    const late = new Tidemark(['cat', log, '--follow', '--from', '1000'])
    await reader.printed(1)
    let number = 1
    let base = 1
    const firstNumber = new Map([[0, 0]])
    for (let round = 0; round < 3; round++) {
      const options = ['--ack', '--quiet', '--segment-bytes', '65536']
      const writer = new Tidemark(['append', log, ...options])
      firstNumber.set(base, number)
      number = await feed(writer, number, 700)
      await writer.printed(1)
      writer.kill('SIGKILL')
      const { stdout } = await writer.result()
      const seen = reader.lines()
      const acknowledged = stdout.toString().split('\n').length - 1
      assert.ok(acknowledged > 100, `${acknowledged} lines`)
      const kept = await jsonLines(['cat', log])
      // What the reader has shown is in the log, as it was shown.
      seen.forEach((line, i) => {
        assert.deepEqual(JSON.parse(line), kept[i])
      })
      assert.ok(kept.length >= base + acknowledged)
      await until(() => reader.lines().length >= kept.length)
      base = kept.length
    }
    reader.kill('SIGINT')
    const { code, stdout, stderr } = await reader.result()
    assert.deepEqual([code, stderr], [130, ''])
    const entries = parseLines(stdout)
    assert.deepEqual(entries, await jsonLines(['cat', log]))
    let expected = 0
    entries.forEach(({ offset, data }, i) => {
      expected = firstNumber.get(i) ?? expected
      assert.deepEqual({ offset, data }, { offset: i, data: `line ${expected}` })
      expected++
    })
    late.kill('SIGTERM')
    const other = await late.result()
    assert.equal(other.code, 143)
    const all = (await tidemark(['cat', log, '--from', '1000'])).stdout
    assert.ok(other.stdout.equals(all))
  })

  it('waits for the first entry, ends at --to, and shows a line at once', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack'])
    writer.stdin.write('first\n')
    await writer.printed(1)
    const reader = new Tidemark(['cat', log, '-f', '--to', '3'])
    await reader.printed(1)
    writer.stdin.write('second\n')
    await reader.printed(2)
    await delay(700)
    assert.ok(!reader.isOver)
    writer.stdin.write('third\nfourth\n')
    const { code, stdout } = await reader.result()
    assert.equal(code, 0)
    assert.equal(stdout.toString(), 'first\nsecond\nthird\n')
    writer.stdin.end()
    assert.equal((await writer.result()).code, 0)
  })
})
