import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { DurableMap } from 'tidemark/machine'
import { type FailedEvent, Member, type MemberOptions, type RefusedEvent } from 'tidemark/quorum'
import { Trio, until } from './trio.ts'

// What somebody did who wanted to lose an entry.

async function trioOf(t: TestContext, options: Partial<MemberOptions> = {}): Promise<Trio> {
  const trio = await Trio.start(options)
  t.after(() => trio.stop())
  return trio
}

describe('a folder that was lost', { concurrency: 2 }, () => {
  it('is not taken for the member that it was: two of three disks are still a majority', async (t) => {
    const trio = await trioOf(t, { timeoutMs: 3_000 })
    const log = await trio.member(1).log('orders')
    await log.append('before')
    await until(() => trio.member(3).status().logs.length === 2, 'all have it')
    await trio.stopMember(3)
    for (let i = 0; i < 10; i++) await log.append(`order ${i}`)
    await trio.stopMember(1)
    await trio.stopMember(2)
    rmSync(join(trio.dir, '2'), { recursive: true })
    const refused: RefusedEvent[] = []
    const member = await trio.startMember(3)
    member.on('refused', (event) => refused.push(event))
    await trio.startMember(2)
    await until(() => refused.length > 0, 'it is refused')
    assert.equal(refused[0]?.reason, 'member')
    assert.match(refused[0]?.text ?? '', /lost its folder/)
    const left = await member.log('orders')
    await assert.rejects(left.barrier(), { code: 'UNAVAILABLE' })
    await trio.startMember(1)
    await left.barrier()
    const texts: string[] = []
    for await (const { data } of left.read()) texts.push(data.toString())
    assert.equal(texts.length, 11)
  })

  it('of which the votes are left is no empty log: it has others agree first', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('orders')
    await log.append('kept')
    await trio.stopMember(2)
    rmSync(join(trio.dir, '2', 'logs'), { recursive: true })
    await trio.stopMember(3)
    const started = trio.startMember(2, { timeoutMs: 2_000 })
    // With the one that is left it would be a majority, and what was acknowledged could be forgotten.
    await assert.rejects(started, { code: 'CORRUPT' })
    await trio.startMember(3)
    const member = await trio.startMember(2)
    const theirs = await member.log('orders')
    await theirs.barrier()
    for await (const { data } of theirs.read()) assert.equal(data.toString(), 'kept')
  })

  it('of which the votes are lost is refused', async (t) => {
    const trio = await trioOf(t)
    await (await trio.member(1).log('orders')).append('kept')
    await trio.stopMember(2)
    rmSync(join(trio.dir, '2', 'votes'), { recursive: true })
    await assert.rejects(trio.startMember(2), { code: 'CORRUPT' })
  })

  it('belongs to the members of its cluster, whatever addresses it is given', async (t) => {
    const alone = await Trio.start({}, 1)
    t.after(() => alone.stop())
    await (await alone.member(1).log('orders')).append('kept')
    await alone.stopMember(1)
    const peers = { ...alone.peers, 2: '127.0.0.1:9', 3: '127.0.0.1:10' }
    const again = await alone.startMember(1, { peers })
    await (await again.log('orders')).append('without the others')
    assert.deepEqual(
      again.members().map(({ id }) => id),
      [1],
    )
  })

  it('lets in nobody whose cluster was made with other members', async (t) => {
    const trio = await trioOf(t)
    const refused: string[] = []
    trio.member(1).on('refused', ({ reason }) => refused.push(reason))
    const peers = { 1: trio.peers[1]!, 5: '127.0.0.1:9' }
    const dir = join(trio.dir, '5')
    const stranger = await Member.start({ id: 5, dir, listen: '127.0.0.1:0', peers })
    await until(() => refused.includes('cluster'), 'it is refused')
    await stranger.close()
  })
})

describe('damage', { concurrency: 2 }, () => {
  it('at the end of a log that was closed is got back from others', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('orders')
    const offsets: number[] = []
    for (let i = 0; i < 50; i++) offsets.push(await log.append(`order ${i}`.padEnd(200)))
    const other = await trio.member(2).log('orders')
    await other.barrier()
    const folder = join(trio.dir, '2', 'logs', String(log.status().id))
    await trio.stopMember(2)
    const name = readdirSync(folder).find((file) => file.endsWith('.store'))!
    const bytes = readFileSync(join(folder, name))
    bytes[bytes.indexOf('order 45') + 3]! ^= 4
    writeFileSync(join(folder, name), bytes)
    const member = await trio.startMember(2)
    const again = await member.log('orders')
    await until(() => again.status().holes.length === 0 && again.leader !== undefined, 'healed')
    await again.barrier()
    for (const [i, offset] of offsets.entries()) {
      assert.equal((await again.get(offset))?.data.toString().trim(), `order ${i}`)
    }
  })

  it('of the votes is told as it is, and leaves the folder unlocked', async (t) => {
    const trio = await trioOf(t)
    await (await trio.member(1).log('orders')).append('x')
    await trio.stopMember(2)
    const folder = join(trio.dir, '2', 'votes')
    const name = readdirSync(folder).find((file) => file.endsWith('.store'))!
    const sound = readFileSync(join(folder, name))
    const bytes = Buffer.from(sound)
    bytes[bytes.indexOf('incarnation') + 3]! ^= 4
    writeFileSync(join(folder, name), bytes)
    await assert.rejects(trio.startMember(2), { code: 'CORRUPT' })
    await assert.rejects(trio.startMember(2), { code: 'CORRUPT' }, 'not LOCKED')
    writeFileSync(join(folder, name), sound)
    await trio.startMember(2)
  })
})

describe('a cursor of a cluster', { concurrency: 2 }, () => {
  it('does not go back by a commit of who is behind', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('orders')
    const { first } = await log.appendBatch(Array.from({ length: 30 }, (_, i) => `${i}`))
    const other = await trio.member(2).log('orders')
    const ahead = await log.cursor('billing')
    const behind = await other.cursor('billing')
    await ahead.commit(first + 20)
    await behind.commit(first + 5)
    assert.equal(behind.position, first + 21, 'it learns of the other')
    assert.equal((await other.cursor('billing')).position, first + 21)
    await ahead.delete()
    await assert.rejects(behind.commit(first + 25), { code: 'NOT_FOUND' })
  })

  it('is not committed by a commit that has failed', async (t) => {
    const trio = await trioOf(t, { timeoutMs: 1_500 })
    const log = await trio.member(1).log('orders')
    const offset = await log.append('x')
    const cursor = await log.cursor('billing')
    await trio.stopMember(2)
    await trio.stopMember(3)
    const codes = /UNAVAILABLE|UNCERTAIN/
    const isOpen = (error: { code?: string }) => codes.test(error.code ?? '')
    await assert.rejects(cursor.commit(offset), isOpen)
    await assert.rejects(cursor.commit(offset), isOpen)
    await trio.startMember(2)
    await cursor.commit(offset)
  })
})

describe('a replicated log that is abused', { concurrency: 2 }, () => {
  it('refuses batches of more offsets than a segment has, and gathers none', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('orders')
    const failed: FailedEvent[] = []
    for (const id of [1, 2, 3]) trio.member(id).on('failed', (event) => failed.push(event))
    const count = 2 ** 31
    await assert.rejects(log.appendBatch(['p', 'q'], { count }), { code: 'TOO_LARGE' })
    await Promise.all(['a', 'b', 'c'].map((text) => log.append(text, { count })))
    const leader = log.leader!
    await trio.stopMember(leader)
    const other = await trio.member((leader % 3) + 1).log('orders')
    const last = await other.append('in another term')
    await trio.startMember(leader)
    const again = await trio.member(leader).log('orders')
    await again.barrier()
    assert.equal((await again.get(last))?.data.toString(), 'in another term')
    assert.deepEqual(failed, [])
  })

  it('is not trimmed beyond the snapshots that its state needs', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('map')
    const map = await DurableMap.open<string, string>(log)
    for (let i = 0; i < 10; i++) await map.set(`${i}`, 'x')
    await map.snapshot()
    await map.set('late', 'y')
    await assert.rejects(log.trim(log.highWaterMark), { code: 'INVALID_ARGUMENT' })
    const other = await trio.member(2).log('map')
    await other.barrier()
    await assert.rejects(other.trim(other.highWaterMark), { code: 'INVALID_ARGUMENT' })
    await map.close()
    const again = await DurableMap.open<string, string>(log)
    assert.equal(await again.read('late'), 'y')
    await again.close()
  })

  it('has the same retention in whatever order it is said', async (t) => {
    const trio = await trioOf(t)
    await trio.member(1).log('x', { retention: { maxAgeMs: 1e9, maxBytes: 1e9 } })
    await trio.member(2).log('x', { retention: { maxBytes: 1e9, maxAgeMs: 1e9 } })
    const other = { retention: { maxBytes: 1e8 } }
    await assert.rejects(trio.member(2).log('x', other), { code: 'INVALID_ARGUMENT' })
  })

  it('does not stop because a listener throws', () => {
    // In a process of its own, since the exception is nobody's.
    const dir = mkdtempSync(join(tmpdir(), 'tidemark-listener-'))
    const script = `
      import { Member } from 'tidemark/quorum'
      const thrown = []
      process.on('uncaughtException', (error) => thrown.push(error.message))
      const options = { id: 1, dir: ${JSON.stringify(dir)}, listen: '127.0.0.1:0' }
      const member = await Member.start({ ...options, peers: { 1: '127.0.0.1:1' } })
      member.on('leader', () => { throw new Error('a listener') })
      const log = await member.log('orders')
      await log.append('x')
      console.log(JSON.stringify([thrown, log.status().failure ?? 'none']))
      await member.close()`
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', script],
      { encoding: 'utf8' },
    )
    rmSync(dir, { recursive: true })
    assert.equal(status, 0, stderr)
    const [thrown, failure] = JSON.parse(stdout) as [string[], string]
    assert.ok(thrown.length > 0 && thrown.every((text) => text === 'a listener'))
    assert.equal(failure, 'none')
  })

  it('does not keep its member from closing', async (t) => {
    const trio = await trioOf(t)
    const member = trio.member(1)
    const log = await member.log('orders')
    await log.append('x')
    await trio.stopMember(2)
    await trio.stopMember(3)
    const waiting = [member.log('another'), log.append('y'), log.barrier(), log.cursor('c')]
    const outcomes = waiting.map((promise) => assert.rejects(promise, { code: 'CLOSED' }))
    await new Promise((resolve) => setTimeout(resolve, 50))
    const from = performance.now()
    await trio.stopMember(1)
    assert.ok(performance.now() - from < 3_000)
    await Promise.all(outcomes)
  })
})
