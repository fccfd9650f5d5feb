import assert from 'node:assert/strict'
import { mkdirSync, readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { freshLog, parseLines, Tidemark, tidemark, until } from './tidemark.js'

/** Whether there is a process of this number; one that has ended and is not waited for counts. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('tidemark demo quorum', () => {
  it('kills a leader, cuts a member off, and finds everything on all three', async () => {
    const args = ['demo', 'quorum', '--rounds', '1', '--seed', '7', '--json']
    const { code, stdout, stderr } = await tidemark(args, 'alpha\nbeta\n')
    assert.equal(code, 0, stderr)
    const events = parseLines(stdout)
    const names = events.map(({ event }) => event)
    for (const name of ['kill', 'served', 'restart', 'cut', 'heal', 'compare']) {
      assert.ok(names.includes(name), name)
    }
    const summary = events.at(-1)!
    const { event, kept, kills, cuts, different, lost, twice, wrong } = summary
    assert.deepEqual([event, kept, kills, cuts], ['summary', true, 1, 1])
    assert.deepEqual([different, lost, twice, wrong], [0, 0, 0, 0])
    assert.ok((summary.acknowledged as number) > 10)
    assert.equal(summary.found, summary.acknowledged)
    const leaders = events.filter((one) => one.event === 'leader')
    assert.ok(leaders.length >= 2, 'somebody else leads after the kill')
  })

  it('leaves no process and no folder behind when it is interrupted', async (t) => {
    const log = freshLog(t)
    mkdirSync(`${log}.tmp`)
    const env = { ...process.env, TMPDIR: `${log}.tmp` }
    const running = new Tidemark(['demo', 'quorum', '--json'], { env })
    running.stdin.end('line\n')
    const ready = () => parseLines(running.stdout).filter(({ event }) => event === 'ready')
    await until(() => running.isOver || ready().length === 3)
    const pids = ready().map(({ pid }) => pid as number)
    assert.equal(pids.length, 3, running.stderr)
    running.kill('SIGINT')
    const { code, stderr } = await running.result()
    assert.deepEqual([code, stderr], [130, ''])
    assert.deepEqual(pids.filter(lives), [])
    assert.deepEqual(readdirSync(`${log}.tmp`), [])
  })

  it('reports a member that ends by itself', async () => {
    const running = new Tidemark(['demo', 'quorum', '--json'])
    running.stdin.end('line\n')
    const ready = () => parseLines(running.stdout).filter(({ event }) => event === 'ready')
    await until(() => running.isOver || ready().length === 3)
    process.kill(ready()[0]!.pid as number, 'SIGKILL')
    const { code, stderr } = await running.result()
    assert.equal(code, 1)
    assert.match(stderr, /^tidemark: IO: the process of member \d ended by itself: .*SIGKILL/)
  })

  it('does not take --json for the other demo', async () => {
    const { code, stderr } = await tidemark(['demo', '--json'])
    assert.equal(code, 2)
    assert.match(stderr, /--json is for demo quorum/)
  })
})
