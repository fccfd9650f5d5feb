import assert from 'node:assert/strict'
import { existsSync, openSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Log } from 'tidemark'
import { freshLog, jsonLines, Tidemark, tidemark, until } from './tidemark.js'

const MIB = 1024 * 1024

async function contents(log: string): Promise<Buffer[]> {
  const reader = await Log.open(log, { mode: 'read' })
  const all: Buffer[] = []
  for await (const { data } of reader.read()) all.push(data)
  await reader.close()
  return all
}

async function info(log: string) {
  return (await jsonLines(['info', log]))[0]!
}

describe('tidemark append', () => {
  it('makes an entry of each line, byte for byte', async (t) => {
    const log = freshLog(t)
    const lines = ['one', '', 'two\r', '\0\x01', '', 'last'].map((line) => Buffer.from(line))
    lines.push(Buffer.from([0xff, 0xfe, 0x80]), Buffer.from('no newline'))
    const input = Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')])).subarray(0, -1)
    const { code, stdout, stderr } = await tidemark(['append', log], input)
    assert.equal(code, 0, stderr)
    assert.equal(stdout.length, 0)
    assert.match(stderr, /^appended 8 entries, 26 bytes, in .*\/s\), offsets 0\.\.7\n$/)
    assert.deepEqual(await contents(log), lines)
    const { clean, writer, entries } = await info(log)
    assert.deepEqual({ clean, writer, entries }, { clean: true, writer: null, entries: 8 })
  })

  it('reads a file, and goes on where the log ends', async (t) => {
    const log = freshLog(t)
    const file = `${log}.txt`
    const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i} ${'x'.repeat(i % 300)}`)
    writeFileSync(file, `${lines.join('\n')}\n`)
    assert.equal((await tidemark(['append', log, file, '--quiet'])).stderr, '')
    const again = await tidemark(['append', log, file, '--sync', 'never'])
    assert.match(again.stderr, /offsets 20000\.\.39999/)
    const third = await tidemark(['append', log, '-', '--sync', '20', '--quiet'], 'from -\n')
    assert.equal(third.code, 0, third.stderr)
    const all = (await contents(log)).map(String)
    assert.deepEqual(all, [...lines, ...lines, 'from -'])
  })

  it('appends nothing from nothing', async (t) => {
    const log = freshLog(t)
    const { code, stderr } = await tidemark(['append', log, '--ack'])
    assert.deepEqual([code, stderr], [0, 'appended nothing\n'])
    assert.equal((await info(log)).entries, 0)
  })

  it('appends a line of a slow producer at once, and acknowledges it', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack'])
    for (let i = 0; i < 5; i++) {
      writer.stdin.write(`line ${i}\nhalf of`)
      await writer.printed(i + 1)
      writer.stdin.write(' the next one: ')
    }
    assert.deepEqual(writer.lines(), ['0', '1', '2', '3', '4'])
    writer.stdin.end()
    assert.equal((await writer.result()).code, 0)
    const all = (await contents(log)).map(String)
    assert.equal(all.length, 6)
    assert.equal(all[1], 'half of the next one: line 1')
    assert.equal(all[5], 'half of the next one: ')
  })

  it('acknowledges every entry once, in order', async (t) => {
    const log = freshLog(t)
    const input = Array.from({ length: 30_000 }, (_, i) => `${i}\n`).join('')
    const { stdout } = await tidemark(['append', log, '--ack', '--quiet'], input)
    assert.equal(stdout.toString(), input)
  })

  it('--whole makes one entry of all', async (t) => {
    const log = freshLog(t)
    const input = Buffer.from('a\nb\n\0\xff\n', 'latin1')
    for (const data of [input, Buffer.alloc(0), Buffer.alloc(MIB, 'x')]) {
      assert.equal((await tidemark(['append', log, '--whole'], data)).code, 0)
    }
    assert.deepEqual(await contents(log), [input, Buffer.alloc(0), Buffer.alloc(MIB, 'x')])
    const tooLarge = await tidemark(['append', log, '--whole'], Buffer.alloc(16 * MIB + 1))
    assert.equal(tooLarge.code, 1)
    assert.match(tooLarge.stderr, /tidemark: TOO_LARGE: standard input has more than the 16777216/)
    assert.equal((await info(log)).entries, 3)
  })

  it('--batch appends so many at a time, and the rest at the end', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--batch', '3', '--ack'])
    writer.stdin.write('a\nb\nc\nd\ne\n')
    await writer.printed(3)
    await delay(100)
    assert.deepEqual(writer.lines(), ['0', '1', '2'])
    writer.stdin.end('f\ng\nh')
    assert.equal((await writer.result()).stdout.toString(), '0\n1\n2\n3\n4\n5\n6\n7\n')
    assert.deepEqual((await contents(log)).map(String), [...'abcdefgh'])
  })

  it('stops at a line that is too long, and keeps those before it', async (t) => {
    for (const batch of [[], ['--batch', '2']]) {
      const log = freshLog(t)
      const input = Buffer.concat([Buffer.from('1\n2\n3\n'), Buffer.alloc(16 * MIB + 1, 'x')])
      const { code, stdout, stderr } = await tidemark(['append', log, '--ack', ...batch], input)
      assert.equal(code, 1)
      assert.equal(stdout.toString(), '0\n1\n2\n')
      assert.match(stderr, /^tidemark: TOO_LARGE: line 4 has more than the 16777216 bytes/m)
      const { entries, clean } = await info(log)
      assert.deepEqual([entries, clean], [3, true])
    }
  })

  it('takes a line of the largest size, in bounded memory', async (t) => {
    const log = freshLog(t)
    const line = Buffer.alloc(16 * MIB, 'x')
    assert.equal((await tidemark(['append', log], line)).code, 0)
    assert.ok((await contents(log))[0]!.equals(line))
  })

  for (const [signal, exit] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`ends in good order on ${signal}`, async (t) => {
      const log = freshLog(t)
      const writer = new Tidemark(['append', log, '--ack'])
      let sent = 0
      const feed = () => {
        while (!writer.isOver && writer.stdin.write(`line ${sent++}\n`));
      }
      writer.stdin.on('drain', feed)
      feed()
      await writer.printed(1000)
      writer.kill(signal)
      const { code, stdout, stderr } = await writer.result()
      assert.equal(code, exit, stderr)
      assert.match(stderr, /^appended [\d,]+ entries/)
      const acknowledged = stdout.toString().split('\n').length - 1
      const { clean, entries, writer: holder } = await info(log)
      assert.deepEqual(
        { clean, entries, holder },
        { clean: true, entries: acknowledged, holder: null },
      )
      const all = (await contents(log)).map(String)
      assert.deepEqual(
        all,
        all.map((_, i) => `line ${i}`),
      )
    })
  }

  it('ends on SIGINT while it waits for input, without the unfinished line', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack'])
    writer.stdin.write('whole\nunfinished')
    await writer.printed(1)
    writer.kill('SIGINT')
    const { code, stderr } = await writer.result()
    assert.equal(code, 130)
    assert.match(stderr, /^appended 1 entry, 5 bytes, in /)
    assert.deepEqual((await contents(log)).map(String), ['whole'])
    assert.equal((await info(log)).clean, true)
  })

  it('ends quietly when nobody reads the offsets any more', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack', '--quiet'])
    const feeding = setInterval(() => writer.stdin.write('line\n'.repeat(100)), 1)
    t.after(() => clearInterval(feeding))
    await writer.printed(100)
    writer.stdoutStream.destroy()
    const { code, stderr } = await writer.result()
    // Quiet, but not a success: what is left of the input was not appended.
    assert.deepEqual([code, stderr], [1, ''])
    assert.equal((await info(log)).clean, true)
  })

  it('has nothing to say on a standard output that takes nothing', async (t) => {
    if (!existsSync('/dev/full')) return t.skip('no /dev/full')
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--quiet'], { stdout: openSync('/dev/full', 'w') })
    writer.stdin.end('once\n')
    const { code, stderr } = await writer.result()
    assert.deepEqual([code, stderr], [0, ''])
    assert.equal((await info(log)).highWaterMark, 1)
  })

  it('does not go on when the offsets cannot be written', async (t) => {
    if (!existsSync('/dev/full')) return t.skip('no /dev/full')
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack', '--quiet'], {
      stdout: openSync('/dev/full', 'w'),
    })
    writer.stdin.write('line\n')
    const { code, stderr } = await writer.result()
    assert.equal(code, 1)
    assert.match(stderr, /^tidemark: IO: cannot write to standard output: ENOSPC.*\n$/)
    assert.equal((await info(log)).clean, true)
  })

  it('waits for a slow reader of the offsets instead of piling them up', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack', '--quiet'])
    writer.stdoutStream.pause()
    let drained = true
    const chunk = 'line\n'.repeat(10_000)
    const feed = async () => {
      for (let i = 0; i < 30; i++) {
        drained = writer.stdin.write(chunk)
        if (!drained) await new Promise((resolve) => writer.stdin.once('drain', resolve))
      }
    }
    const fed = feed()
    // However slow the machine: at some point it stands still, and that is before the end.
    let held = -1
    for (let now = 0; now !== held || now === 0; now = (await info(log)).entries as number) {
      held = now
      await delay(700)
    }
    assert.ok(held > 0 && held < 30 * 10_000, `${held} entries`)
    writer.stdoutStream.resume()
    await fed
    writer.stdin.end()
    const { code, stdout } = await writer.result()
    assert.equal(code, 0)
    assert.equal(stdout.toString().split('\n').length - 1, 300_000)
  })

  it('closes the log on SIGINT even when nobody reads the offsets', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack', '--quiet'])
    writer.stdoutStream.pause()
    writer.stdin.write('line\n'.repeat(300_000))
    await delay(700)
    writer.kill('SIGINT')
    await until(() => writer.process.exitCode !== null)
    assert.equal(writer.process.exitCode, 130)
    assert.equal((await info(log)).clean, true)
    writer.stdoutStream.resume()
    assert.equal((await writer.result()).stderr, '')
  })

  it('is the only writer', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack'])
    writer.stdin.write('line\n')
    await writer.printed(1)
    const second = await tidemark(['append', log], 'other\n')
    assert.equal(second.code, 1)
    assert.match(second.stderr, new RegExp(`^tidemark: LOCKED: .*\\b${writer.pid}\\b.*\\n$`))
    assert.equal((await info(log)).writer, writer.pid)
    writer.stdin.end()
    assert.equal((await writer.result()).code, 0)
    assert.equal((await tidemark(['append', log], 'third\n')).code, 0)
    assert.deepEqual((await contents(log)).map(String), ['line', 'third'])
  })

  it('leaves no empty log behind when the input cannot be read', async (t) => {
    const log = freshLog(t)
    for (const [file, what] of [
      [`${log}.txt`, /^tidemark: NOT_FOUND: there is no file .*log\.txt to read\n$/],
      ['.', /^tidemark: IO: cannot read \.: it is a folder\n$/],
    ] as const) {
      const { code, stderr } = await tidemark(['append', log, file])
      assert.equal(code, 1)
      assert.match(stderr, what)
      assert.ok(!existsSync(log))
    }
  })

  it('begins a new segment where it is told to', async (t) => {
    const log = freshLog(t)
    const input = 'x'.repeat(99).concat('\n').repeat(1000)
    await tidemark(['append', log, '--segment-bytes', '4096'], input)
    const { segments, entries, bytes } = await info(log)
    assert.equal(entries, 1000)
    assert.ok((segments as number) > 20 && (bytes as number) > 100_000)
  })
})
