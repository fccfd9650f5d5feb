import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Log } from 'tidemark'
import { freshLog, jsonLines, tidemark } from './tidemark.js'

async function filled(log: string): Promise<void> {
  await tidemark(['append', log, '--quiet'], 'line\n'.repeat(100))
}

describe('tidemark cursors', () => {
  it('lists, makes, moves and deletes', async (t) => {
    const log = freshLog(t)
    await filled(log)
    assert.equal((await tidemark(['cursors', log])).stdout.toString(), 'there are no cursors\n')
    await tidemark(['cursors', log, '--set', 'billing=30'])
    await tidemark(['cursors', log, '--set', 'audit=end'])
    const listed = await jsonLines(['cursors', log, '--json'])
    const facts = listed.map(({ name, position, lag, holder }) => [name, position, lag, holder])
    assert.deepEqual(facts, [
      ['audit', 100, 0, null],
      ['billing', 30, 70, null],
    ])
    await tidemark(['cursors', log, '--set', 'billing=start'])
    const { code, stdout } = await tidemark(['cursors', log, '--delete', 'audit'])
    assert.equal(code, 0)
    const [headings, row, ...rest] = stdout.toString().trimEnd().split('\n')
    assert.match(headings!, /^cursor +position +lag/)
    assert.match(row!, /^billing +0 +100 +0 +\d{4}-.* +-$/)
    assert.deepEqual(rest, [])
  })

  it('shows who holds one, and leaves it alone', async (t) => {
    const log = freshLog(t)
    await filled(log)
    const reader = await Log.open(log, { mode: 'read' })
    const cursor = await reader.cursor('billing')
    const [listed] = await jsonLines(['cursors', log, '--json'])
    assert.equal(listed?.holder, process.pid)
    for (const change of [
      ['--set', 'billing=5'],
      ['--delete', 'billing'],
    ]) {
      const { code, stderr } = await tidemark(['cursors', log, ...change])
      assert.equal(code, 1)
      assert.match(stderr, new RegExp(`^tidemark: LOCKED: .*"billing".*${process.pid}`))
    }
    await cursor.close()
    await reader.close()
  })

  it('refuses what cannot be, by name', async (t) => {
    const log = freshLog(t)
    await filled(log)
    for (const wrong of ['billing', '=5', 'billing=', 'billing=-1', 'billing=soon']) {
      const { code, stderr } = await tidemark(['cursors', log, '--set', wrong])
      assert.equal(code, 2, wrong)
      assert(stderr.includes(JSON.stringify(wrong)), stderr)
    }
    const beyond = await tidemark(['cursors', log, '--set', 'billing=101'])
    assert.equal(beyond.code, 1)
    assert.match(beyond.stderr, /^tidemark: INVALID_ARGUMENT: .*100/)
    await tidemark(['cursors', log, '--set', 'billing=1'])
    const missing = await tidemark(['cursors', log, '--delete', 'biling'])
    assert.match(missing.stderr, /^tidemark: NOT_FOUND: no cursor "biling" .*there is billing\n$/)
    assert.equal((await tidemark(['cursors', join(log, 'nowhere')])).code, 1)
  })

  it('says that one is damaged, as verify does', async (t) => {
    const log = freshLog(t)
    await filled(log)
    await tidemark(['cursors', log, '--set', 'billing=30'])
    assert.equal((await tidemark(['verify', log])).code, 0)
    const path = join(log, 'cursors', 'billing.cursor')
    writeFileSync(path, readFileSync(path).fill(7))
    const { code, stdout } = await tidemark(['cursors', log])
    assert.equal(code, 1)
    assert.match(stdout.toString(), /^billing +damaged/m)
    const verified = await tidemark(['verify', log])
    assert.equal(verified.code, 1)
    assert.match(verified.stdout.toString(), /^damaged: file cursors\/billing\.cursor, position 0/m)
    assert.equal((await tidemark(['cursors', log, '--set', 'billing=7'])).code, 0)
    assert.equal((await tidemark(['verify', log])).code, 0)
  })
})
