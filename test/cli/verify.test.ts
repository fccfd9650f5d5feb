import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { freshLog, jsonLines, parseLines, stores, Tidemark, tidemark } from './tidemark.js'

const HEADER_BYTES = 40

/** Changes one bit of the first place where `text` stands in a store; returns where its entry begins. */
function damage(log: string, store: string, text: string): number {
  const path = join(log, store)
  const bytes = readFileSync(path)
  const at = bytes.indexOf(text)
  assert.ok(at > 0)
  bytes[at]! ^= 0x10
  writeFileSync(path, bytes)
  return at - HEADER_BYTES
}

describe('tidemark info', () => {
  it('shows marks, sizes, the writer and how the log was left', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack'])
    writer.stdin.write('a\nb\nc\n')
    await writer.printed(3)
    const [alive] = await jsonLines(['info', log])
    assert.equal(alive!.writer, writer.pid)
    assert.equal(alive!.clean, false)
    const text = (await tidemark(['info', log])).stdout.toString()
    assert.match(text, new RegExp(`^writer +process ${writer.pid}$`, 'm'))
    assert.match(text, /^closed cleanly +not yet/m)
    writer.kill('SIGKILL')
    await writer.result()
    assert.match((await tidemark(['info', log])).stdout.toString(), /^closed cleanly +no: /m)
    await tidemark(['append', log], 'd\n')
    const [closed] = await jsonLines(['info', log])
    const { bytes, ...others } = closed!
    assert.deepEqual(others, {
      folder: log,
      lowWaterMark: 0,
      highWaterMark: 4,
      entries: 4,
      segments: 1,
      writer: null,
      clean: true,
    })
    assert.ok((bytes as number) >= 4 * (HEADER_BYTES + 1))
    assert.match((await tidemark(['info', log])).stdout.toString(), /^closed cleanly +yes$/m)
  })
})

describe('tidemark verify', () => {
  it('finds a sound log sound, closed, killed and while it is written', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack', '--segment-bytes', '4096'])
    writer.stdin.write('line\n'.repeat(1000))
    await writer.printed(1000)
    const alive = await tidemark(['verify', log])
    assert.equal(alive.code, 0, alive.stdout.toString())
    writer.kill('SIGKILL')
    await writer.result()
    const killed = await tidemark(['verify', log])
    assert.equal(killed.code, 0, killed.stdout.toString())
    assert.match(
      killed.stdout.toString(),
      /^sound: 1,000 sound entries in \d+ segments, .*0 and 1000$/m,
    )
    await tidemark(['append', log], 'last\n')
    const [report] = await jsonLines(['verify', log])
    assert.equal(report!.sound, true)
    assert.equal(report!.entries, 1001)
    assert.deepEqual(report!.damage, [])
  })

  it('stays calm while a busy writer rolls from segment to segment', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack', '--quiet', '--segment-bytes', '65536'])
    const feeding = setInterval(() => writer.stdin.write(`${'x'.repeat(50)}\n`.repeat(200)), 2)
    t.after(() => clearInterval(feeding))
    await writer.printed(1000)
    for (let i = 0; i < 5; i++) {
      const { code, stdout, stderr } = await tidemark(['verify', log])
      assert.equal(code, 0, `${stdout}${stderr}`)
      const [facts] = await jsonLines(['info', log])
      assert.equal(facts!.writer, writer.pid)
    }
    clearInterval(feeding)
    writer.stdin.end()
    assert.equal((await writer.result()).code, 0)
  })

  it('names segment, position and offset of a flipped byte', async (t) => {
    const log = freshLog(t)
    const lines = Array.from({ length: 300 }, (_, i) => `line number ${i}.`)
    await tidemark(['append', log, '--segment-bytes', '4096'], `${lines.join('\n')}\n`)
    const names = stores(log)
    assert.ok(names.length > 3)
    const first = damage(log, names[0]!, 'line number 7.')
    const last = damage(log, names.at(-1)!, 'line number 298.')
    const { code, stdout, stderr } = await tidemark(['verify', log])
    assert.equal(code, 1, stderr)
    const found = stdout.toString().split('\n')
    const segment = (name: string) => name.replace(/\.store$/, '(\\.store)?')
    assert.match(
      found[0]!,
      new RegExp(`^damaged: segment ${segment(names[0]!)}, position ${first}, offset 7: `),
    )
    assert.match(
      found[1]!,
      new RegExp(`^damaged: segment ${segment(names.at(-1)!)}, position ${last}, offset 298: `),
    )
    assert.match(found[2]!, /^2 damages: 298 sound entries/)
    const json = await tidemark(['verify', log, '--json'])
    assert.equal(json.code, 1)
    const [report] = parseLines(json.stdout)
    assert.equal(report!.sound, false)
    const [one] = report!.damage as Record<string, unknown>[]
    assert.equal(one!.position, first)
    assert.equal(one!.offset, 7)
    assert.equal(one!.endOffset, 8)
    assert.equal(typeof one!.problem, 'string')
  })

  it('tells a torn end from damage', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack', '--sync', 'never'])
    writer.stdin.write('a\nb\n')
    await writer.printed(2)
    writer.kill('SIGKILL')
    await writer.result()
    appendFileSync(join(log, stores(log)[0]!), Buffer.alloc(77, 'torn'))
    const { code, stdout } = await tidemark(['verify', log])
    assert.equal(code, 0, stdout.toString())
    assert.match(stdout.toString(), /^note: .* 77 bytes /m)
    const [report] = await jsonLines(['verify', log])
    assert.equal(report!.tornBytes, 77)
    assert.equal((await tidemark(['cat', log])).stdout.toString(), 'a\nb\n')
    await tidemark(['append', log], 'c\n')
    assert.equal((await tidemark(['cat', log])).stdout.toString(), 'a\nb\nc\n')
  })
})
