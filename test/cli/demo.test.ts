import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { Log } from 'tidemark'
import { LineStream } from '#dist/cli/demo/stream.js'
import { Trial } from '#dist/cli/demo/trial.js'
import { seededRandom } from '#dist/io/index.js'
import { freshLog, jsonLines, Tidemark, tidemark } from './tidemark.js'

const SUMMARY =
  / kills?, [\d,]+ lines acknowledged, [\d,]+ found again .*, 0 lost .*kept its promise\.$/m

describe('tidemark demo', () => {
  it('kills a writer and finds everything again', async (t) => {
    const log = freshLog(t)
    const args = ['demo', '--rounds', '2', '--seed', '7', '--dir', log]
    const { code, stdout, stderr } = await tidemark(args, 'alpha\nbeta\ngamma')
    assert.equal(code, 0, stderr)
    const text = stdout.toString()
    assert.match(text, /the lines of standard input, /)
    assert.match(text, /Seed 7\.$/m)
    assert.equal(text.match(/^ +\d .* sound$/gm)?.length, 2)
    assert.match(text, SUMMARY)
    const entries = await jsonLines(['cat', log])
    assert.ok(entries.length > 0)
    assert.deepEqual(
      entries.slice(0, 4).map(({ data }) => data),
      ['0\talpha', '1\tbeta', '2\tgamma', '3\talpha'],
    )
    const again = await tidemark(['demo', '--rounds', '1', '--dir', log])
    assert.equal(again.code, 2)
    assert.match(again.stderr, /--dir ".*" must be a new or an empty folder/)
  })

  it('takes its own files when there is nothing to read', async (t) => {
    const log = freshLog(t)
    mkdirSync(`${log}.tmp`)
    const env = { ...process.env, TMPDIR: `${log}.tmp` }
    const silent = new Tidemark(['demo', '--rounds', '1'], { env })
    const { code, stdout } = await silent.result()
    assert.equal(code, 0)
    assert.match(stdout.toString(), /the lines of Tidemark's own files, /)
    assert.match(stdout.toString(), SUMMARY)
    assert.deepEqual(readdirSync(`${log}.tmp`), [])
    const empty = await tidemark(['demo', '--rounds', '1'], '')
    assert.match(empty.stdout.toString(), /the lines of Tidemark's own files, /)
  })

  it('reads the file that it is given', async (t) => {
    const log = freshLog(t)
    writeFileSync(`${log}.txt`, 'one\n\n')
    const { code, stdout } = await tidemark(['demo', `${log}.txt`, '--rounds', '1'])
    assert.equal(code, 0)
    assert.match(stdout.toString(), /the lines of .*log\.txt, /)
    writeFileSync(`${log}.txt`, '')
    const empty = await tidemark(['demo', `${log}.txt`])
    assert.equal(empty.code, 1)
    assert.match(empty.stderr, /^tidemark: NOT_FOUND: .*log\.txt has no lines/)
    assert.equal((await tidemark(['demo', `${log}.none`])).code, 1)
  })

  it('leaves nothing behind when it is interrupted', async (t) => {
    const log = freshLog(t)
    mkdirSync(`${log}.tmp`)
    const env = { ...process.env, TMPDIR: `${log}.tmp` }
    const running = new Tidemark(['demo', '--rounds', '100'], { env })
    running.stdin.end('line\n')
    await running.printed(9)
    running.kill('SIGINT')
    const { code, stderr } = await running.result()
    assert.deepEqual([code, stderr], [130, ''])
    assert.deepEqual(readdirSync(`${log}.tmp`), [])
  })

  it('sees lines that are lost, and lines that were never sent', async (t) => {
    const log = freshLog(t)
    const lines = new LineStream({ name: 'here', lines: [Buffer.from('a'), Buffer.from('b')] })
    const trial = new Trial(log, lines, seededRandom(1), new AbortController().signal)
    const first = await trial.round(1)
    assert.ok(first.acknowledged > 10)
    assert.deepEqual([first.lost, first.wrong, first.isSound], [0, 0, true])
    // A log that has forgotten most, and remembers something else instead.
    const replaced = await Log.open(log, { mode: 'read' })
    const { highWaterMark } = replaced
    await replaced.close()
    rmSync(log, { recursive: true })
    const forged = await Log.open(log)
    const batch = Array.from({ length: highWaterMark }, (_, i) => lines.line(i))
    batch[3] = Buffer.from('something else')
    await forged.appendBatch(batch.slice(0, 9))
    await forged.close()
    const second = await trial.round(2)
    const acknowledged = first.acknowledged + second.acknowledged
    assert.equal(second.lost, acknowledged - second.found)
    assert.ok(second.lost > first.acknowledged - 9)
    assert.ok(second.wrong >= 1)
  })
})
