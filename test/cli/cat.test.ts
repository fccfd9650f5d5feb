import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Log } from 'tidemark'
import { freshLog, jsonLines, stores, Tidemark, tidemark, until } from './tidemark.js'

const MAIN = fileURLToPath(import.meta.resolve('#dist/cli/main.js'))

async function print(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await tidemark(['cat', ...args])
  assert.equal(code, 0, stderr)
  return stdout.toString()
}

describe('tidemark cat', () => {
  it('prints what was appended, byte for byte', async (t) => {
    const log = freshLog(t)
    const input = Buffer.alloc(100_000)
    for (let i = 0; i < input.length; i++) input[i] = (i * 7919) >> 3
    const lines = Buffer.concat([input, Buffer.from('\n\n\r\n')])
    await tidemark(['append', log], lines)
    assert.ok((await tidemark(['cat', log])).stdout.equals(lines))
  })

  it('takes a range, backwards too', async (t) => {
    const log = freshLog(t)
    await tidemark(['append', log], 'a\nb\nc\nd\ne\n')
    assert.equal(await print(log, '--from', '1', '--to', '3'), 'b\nc\n')
    assert.equal(await print(log, '--reverse'), 'e\nd\nc\nb\na\n')
    assert.equal(await print(log, '--from=1', '--to=4', '--reverse'), 'd\nc\nb\n')
    assert.equal(await print(log, '--from', '5'), '')
    assert.equal(await print(log, '--from', '99'), '')
    assert.equal(await print(log, '--to', '0'), '')
  })

  it('begins at a time', async (t) => {
    const log = freshLog(t)
    const writer = await Log.open(log)
    const now = Date.now()
    const hour = 3_600_000
    await writer.append('old', { timestamp: Date.UTC(2020, 0, 1) })
    await writer.append('yesterday', { timestamp: now - 20 * hour })
    await writer.append('recent', { timestamp: now - hour / 2 })
    await writer.close()
    assert.equal(await print(log, '--since', '1h'), 'recent\n')
    assert.equal(await print(log, '--since', '1d'), 'yesterday\nrecent\n')
    assert.equal(await print(log, '--since', '2020-01-01'), 'old\nyesterday\nrecent\n')
    assert.equal(await print(log, '--since', '2020-01-01T00:00:00.001Z'), 'yesterday\nrecent\n')
    assert.equal(await print(log, '--since', String(now - hour)), 'recent\n')
    assert.equal(await print(log, '--since', '100000d', '--reverse'), 'recent\nyesterday\nold\n')
    assert.equal(await print(log, '--since', '1s'), '')
  })

  it('--json says everything, with base64 where text would lose something', async (t) => {
    const log = freshLog(t)
    const writer = await Log.open(log)
    await writer.append('text "quoted" \u{1f30a}', { timestamp: 1234, type: 200 })
    await writer.append(Buffer.from([0xff, 0x00, 0x0a]), { timestamp: 5678 })
    await writer.append('', { timestamp: 0, count: 3 })
    await writer.append('\ufeffmarked', { timestamp: 1 })
    await writer.close()
    assert.deepEqual(await jsonLines(['cat', log]), [
      { offset: 0, term: 1, type: 200, timestamp: 1234, data: 'text "quoted" \u{1f30a}' },
      { offset: 1, term: 1, type: 1, timestamp: 5678, base64: '/wAK' },
      { offset: 2, term: 1, type: 1, timestamp: 0, count: 3, data: '' },
      { offset: 5, term: 1, type: 1, timestamp: 1, data: '\ufeffmarked' },
    ])
  })

  it('reads while a writer lives, and shows what is safe', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack'])
    for (let i = 1; i <= 5; i++) {
      writer.stdin.write(`line ${i}\n`)
      await writer.printed(i)
      // Readers in other processes learn of it a moment later.
      await delay(20)
      assert.equal((await print(log)).split('\n').length - 1, i)
    }
    writer.kill('SIGKILL')
    await writer.result()
    assert.equal(await print(log, '--from', '3'), 'line 4\nline 5\n')
  })

  it('ends quietly when its reader has seen enough', async (t) => {
    const log = freshLog(t)
    await tidemark(['append', log], `${'x'.repeat(200)}\n`.repeat(20_000))
    const script = `"${process.execPath}" "${MAIN}" cat "${log}" | head -2; echo "$\{PIPESTATUS[0]}" >&2`
    const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
    assert.equal(stdout, `${'x'.repeat(200)}\n`.repeat(2))
    assert.equal(stderr, '0\n')
  })

  it('prints a large log to a slow reader in bounded memory', async (t) => {
    const log = freshLog(t)
    const line = `${'x'.repeat(999)}\n`
    await tidemark(['append', log], line.repeat(100_000))
    const reader = new Tidemark(['cat', log])
    reader.stdoutStream.pause()
    await delay(1000)
    if (existsSync('/proc/self/status')) {
      const status = readFileSync(`/proc/${reader.pid}/status`, 'utf8')
      const kib = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1])
      assert.ok(kib < 120_000, `${kib} KiB`)
    }
    reader.stdoutStream.resume()
    const { code, stdout } = await reader.result()
    assert.equal(code, 0)
    assert.ok(stdout.equals(Buffer.from(line.repeat(100_000))))
  })

  it('ends on SIGTERM although its reader is stuck', async (t) => {
    const log = freshLog(t)
    await tidemark(['append', log], `${'x'.repeat(200)}\n`.repeat(20_000))
    const reader = new Tidemark(['cat', log])
    // It has begun when there is something to read, of which no more is read than that.
    reader.stdoutStream.pause()
    await until(() => reader.stdoutStream.readableLength > 0)
    await delay(100)
    reader.kill('SIGTERM')
    await until(() => reader.process.exitCode !== null)
    assert.equal(reader.process.exitCode, 143)
    reader.stdoutStream.resume()
    assert.equal((await reader.result()).stderr, '')
  })

  it('says that it could not write', async (t) => {
    if (!existsSync('/dev/full')) return t.skip('no /dev/full')
    const log = freshLog(t)
    await tidemark(['append', log], 'line\n')
    const reader = new Tidemark(['cat', log], { stdout: openSync('/dev/full', 'w') })
    const { code, stderr } = await reader.result()
    assert.equal(code, 1)
    assert.match(stderr, /^tidemark: IO: cannot write to standard output: ENOSPC.*\n$/)
  })

  it('ends with TRIMMED where the log no longer begins, and begins where it does', async (t) => {
    const log = freshLog(t)
    const writer = await Log.open(log)
    for (let i = 0; i < 10; i++) await writer.append(`${i}`)
    await writer.trim(7)
    await writer.close()
    assert.equal(await print(log), '7\n8\n9\n')
    const { code, stderr } = await tidemark(['cat', log, '--from', '3'])
    assert.equal(code, 1)
    assert.match(stderr, /^tidemark: TRIMMED: offset 3 of the log .*: it begins at 7\n$/)
  })

  it('ends with CORRUPT at an entry that is damaged', async (t) => {
    const log = freshLog(t)
    await tidemark(['append', log], 'first\nsecond\nthird\n')
    const path = join(log, stores(log)[0]!)
    const bytes = readFileSync(path)
    const at = bytes.indexOf('second')
    bytes[at]! ^= 1
    writeFileSync(path, bytes)
    const { code, stderr } = await tidemark(['cat', log])
    assert.equal(code, 1)
    assert.match(
      stderr,
      /^tidemark: CORRUPT: .*\.store is damaged at position \d+, offset 1: .*\n$/,
    )
    assert.equal(await print(log, '--to', '1'), 'first\n')
  })

  it('says that there is no log', async (t) => {
    const log = freshLog(t)
    for (const command of ['cat', 'info', 'verify']) {
      const { code, stdout, stderr } = await tidemark([command, log])
      assert.equal(code, 1)
      assert.equal(stdout.length, 0)
      assert.equal(stderr, `tidemark: NOT_FOUND: there is no log in ${log}\n`)
      assert.ok(!existsSync(log))
    }
  })
})
