import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { type CommitLog, json } from 'tidemark'
import { Member, type RefusedEvent, type ReplicatedLog } from 'tidemark/quorum'
import { freePorts, Trio, until } from './trio.ts'

async function trioOf(t: TestContext, options = {}): Promise<Trio> {
  const trio = await Trio.start(options)
  t.after(() => trio.stop())
  return trio
}

async function textsOf(log: CommitLog<Buffer, Uint8Array | string>): Promise<string[]> {
  await log.barrier()
  const texts: string[] = []
  for await (const { data } of log.read()) texts.push(data.toString())
  return texts
}

function leaderOf(log: ReplicatedLog<Buffer, Uint8Array | string>): number {
  assert(log.leader !== undefined)
  return log.leader
}

describe('members', { concurrency: 2 }, () => {
  it('keep one log: appended on any, read on any', async (t) => {
    const trio = await trioOf(t)
    const logs: ReplicatedLog<Buffer, Uint8Array | string>[] = []
    for (const id of [1, 2, 3]) logs.push(await trio.member(id).log('orders'))
    const texts = Array.from({ length: 60 }, (_, i) => `order ${i}`)
    const offsets = await Promise.all(texts.map((text, i) => logs[i % 3]!.append(text)))
    assert.equal(new Set(offsets).size, 60)
    for (const log of logs) assert.deepEqual((await textsOf(log)).sort(), [...texts].sort())
    const status = trio.member(2).status()
    assert.deepEqual(
      status.logs.map(({ name }) => name),
      ['$catalog', 'orders'],
    )
    assert.deepEqual(
      status.peers.map(({ isConnected }) => isConnected),
      [true, true],
    )
  })

  it('go on when the leader dies, and take it back', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('orders')
    await log.append('before')
    const leader = leaderOf(log)
    const others = [1, 2, 3].filter((id) => id !== leader)
    const left = await trio.member(others[0]!).log('orders')
    await trio.stopMember(leader)
    const offset = await left.append('after')
    await trio.startMember(leader)
    const back = await trio.member(leader).log('orders')
    assert.deepEqual(await textsOf(back), ['before', 'after'])
    assert.equal((await back.get(offset))?.data.toString(), 'after')
  })

  it('without a quorum take nothing, and say so', async (t) => {
    const trio = await trioOf(t, { timeoutMs: 2_000 })
    const log = await trio.member(1).log('orders')
    await log.append('kept')
    await trio.stopMember(2)
    await trio.stopMember(3)
    await assert.rejects(log.append('late'), (error: { code?: string }) => {
      return error.code === 'UNAVAILABLE' || error.code === 'UNCERTAIN'
    })
    await assert.rejects(log.barrier(), { code: 'UNAVAILABLE' })
    await assert.rejects(trio.member(1).log('another'), (error: { code?: string }) => {
      return error.code === 'UNAVAILABLE' || error.code === 'UNCERTAIN'
    })
    assert.equal((await log.get(1))?.data.toString(), 'kept', 'what is safe can be read')
  })

  it('all stop, and go on where they were', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('orders', { codec: json() })
    await log.append({ id: 1 })
    for (const id of [1, 2, 3]) await trio.stopMember(id)
    for (const id of [1, 2, 3]) await trio.startMember(id)
    const again = await trio.member(2).log('orders', { codec: json() })
    await again.barrier()
    const seen = []
    for await (const { data } of again.read()) seen.push(data)
    assert.deepEqual(seen, [{ id: 1 }])
  })

  it('delete a log everywhere, also where a member was away', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('orders')
    await log.append('gone')
    const { id } = log.status()
    await until(() => trio.member(3).status().logs.length === 2, 'all have it')
    await trio.stopMember(3)
    await trio.member(2).deleteLog('orders')
    await until(() => trio.member(1).status().logs.length === 1, 'it is gone')
    await assert.rejects(log.append('late'), { code: 'CLOSED' })
    const folder = (member: number) => join(trio.dir, String(member), 'logs', String(id))
    assert.equal(existsSync(folder(1)), false)
    assert.equal(existsSync(folder(3)), true)
    // What nobody knows is left alone.
    mkdirSync(join(trio.dir, '3', 'logs', '999'))
    await trio.startMember(3)
    await until(() => !existsSync(folder(3)), 'it is gone there too')
    assert.deepEqual(readdirSync(join(trio.dir, '3', 'logs')).sort(), ['0', '999'])
    await assert.rejects(trio.member(3).deleteLog('orders'), { code: 'NOT_FOUND' })
    const anew = await trio.member(3).log('orders')
    assert.notEqual(anew.status().id, id)
    assert.deepEqual(await textsOf(anew), [])
  })

  it('catch up from the low-water mark, where there is no state', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('orders', { segmentBytes: 65_536 })
    await until(() => trio.member(3).status().logs.length === 2, 'all have it')
    await trio.stopMember(3)
    let last = 0
    for (let i = 0; i < 50; i++) last = await log.append(Buffer.alloc(10_000, i))
    await log.trim(last)
    assert.equal(log.lowWaterMark, last)
    await log.append('newest')
    await trio.startMember(3)
    const late = await trio.member(3).log('orders')
    await late.barrier()
    assert.equal(late.lowWaterMark, last)
    assert.equal((await textsOf(late)).at(-1), 'newest')
  })

  it('give up what the retention says', async (t) => {
    const trio = await trioOf(t)
    const retention = { maxBytes: 200_000 }
    const log = await trio.member(1).log('orders', { segmentBytes: 65_536, retention })
    for (let i = 0; i < 60; i++) await log.append(Buffer.alloc(10_000, i))
    await until(() => log.lowWaterMark > 0, 'the oldest segments go', 20_000)
    const other = await trio.member(2).log('orders')
    await until(() => other.lowWaterMark === log.lowWaterMark, 'everywhere')
  })

  it('hand over the lead', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('orders')
    await log.append('x')
    const from = leaderOf(log)
    const to = (from % 3) + 1
    await assert.rejects(trio.member(from).transfer('orders', 9), { code: 'INVALID_ARGUMENT' })
    await assert.rejects(trio.member(from).transfer('nothing', to), { code: 'NOT_FOUND' })
    await until(() => {
      return trio
        .member(from)
        .status()
        .logs[1]!.followers.every(({ state }) => state === 'replicate')
    }, 'all take part')
    await trio.member(from).transfer('orders', to)
    await until(() => log.leader === to, 'the lead is handed over')
    await log.append('y')
    assert.deepEqual(await textsOf(log), ['x', 'y'])
  })

  it('have cursors that every member knows', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('orders')
    await log.appendBatch(['a', 'b', 'c'])
    const cursor = await log.cursor('billing')
    for await (const { offset, data } of cursor) {
      await cursor.commit(offset)
      if (data.toString() === 'b') break
    }
    await cursor.close()
    await assert.rejects(cursor.commit(0), { code: 'CLOSED' })
    const other = await trio.member(3).log('orders')
    const again = await other.cursor('billing', { follow: false })
    const rest = []
    for await (const { data } of again) rest.push(data.toString())
    assert.deepEqual(rest, ['c'])
    await again.reset('start')
    assert.equal(again.position, other.lowWaterMark)
    await again.delete()
    await assert.rejects(other.cursor('billing', { from: 999 }), { code: 'INVALID_ARGUMENT' })
  })

  it('append with fewer acknowledgements where that is wanted', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('orders')
    const offsets = await Promise.all([
      log.append('none', { acks: 'none' }),
      log.append('leader', { acks: 'leader' }),
      log.append('quorum'),
    ])
    assert.deepEqual(
      offsets.toSorted((a, b) => a - b),
      offsets,
      'in the order of the calls',
    )
    assert.deepEqual(await textsOf(log), ['none', 'leader', 'quorum'])
    await assert.rejects(log.append('x', { acks: 'all' as never }), { code: 'INVALID_ARGUMENT' })
  })
})

describe('a member', { concurrency: 2 }, () => {
  it('is enough for a cluster of one', async (t) => {
    const trio = await Trio.start({}, 1)
    t.after(() => trio.stop())
    const log = await trio.member(1).log('alone')
    await log.append('x')
    assert.deepEqual(await textsOf(log), ['x'])
  })

  it('does not take the folder of another', async (t) => {
    const trio = await trioOf(t)
    const dir = join(trio.dir, '1')
    const options = { id: 1, dir, listen: '127.0.0.1:0', peers: trio.peers }
    await assert.rejects(Member.start(options), { code: 'LOCKED' })
    await trio.stopMember(1)
    for (const wrong of [
      { id: 2, peers: trio.peers },
      { id: 1, cluster: 'other' },
    ]) {
      await assert.rejects(Member.start({ ...options, ...wrong }), { code: 'INVALID_ARGUMENT' })
    }
    await trio.startMember(1)
  })

  it('refuses options that cannot be, and names them', async () => {
    const good = { id: 1, dir: '/tmp/never-made', listen: '127.0.0.1:0', peers: { 1: 'a:1' } }
    for (const [name, wrong] of [
      ['id', { id: 0 }],
      ['id', { id: 1.5 }],
      ['cluster', { cluster: '' }],
      ['cluster', { cluster: '../x' }],
      ['dir', { dir: '' }],
      ['listen', { listen: '' }],
      ['peers', { peers: [] }],
      ['peers', { peers: { 2: 'b:1' } }],
      ['peers', { peers: { 1: 'a:1', x: 'b:1' } }],
      ['secret', { secret: '' }],
      ['tls', { tls: {} }],
      ['tls', { tls: { cert: 'a', key: 'b', ca: 'c', nmaes: {} } }],
      ['peers', { peers: { 1: 'a:1', '1.0': 'b:1' } }],
      ['heartbeatMs', { heartbeatMs: 0 }],
      ['electionMs', { heartbeatMs: 100, electionMs: 200 }],
      ['timeoutMs', { timeoutMs: -1 }],
      ['hearbeatMs', { hearbeatMs: 5 }],
    ] as const) {
      await assert.rejects(Member.start({ ...good, ...wrong } as never), (error: Error) => {
        assert.equal((error as { code?: string }).code, 'INVALID_ARGUMENT')
        assert.match(error.message, new RegExp(name))
        return true
      })
    }
    assert.equal(existsSync('/tmp/never-made'), false)
  })

  it('refuses names and options of logs that cannot be', async (t) => {
    const trio = await trioOf(t)
    const member = trio.member(1)
    for (const name of ['', '.x', '../x', 'a/b', '$catalog', 'x'.repeat(201), undefined]) {
      await assert.rejects(member.log(name as string), { code: 'INVALID_ARGUMENT' })
    }
    await assert.rejects(member.log('x', { retenton: {} } as never), { code: 'INVALID_ARGUMENT' })
    await assert.rejects(member.log('x', { maxEntryBytes: 0 }), { code: 'INVALID_ARGUMENT' })
    await member.log('x', { maxEntryBytes: 10 })
    await assert.rejects(member.log('x', { maxEntryBytes: 11 }), { code: 'INVALID_ARGUMENT' })
    const small = await member.log('x')
    await assert.rejects(small.append('more than ten'), { code: 'TOO_LARGE' })
    await small.append('ten bytes!')
    assert.deepEqual(await textsOf(small), ['ten bytes!'])
  })

  it('refuses a batch that no frame could carry, and takes the largest that one can', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('x')
    const many = Array.from({ length: 2 ** 19 + 1 }, () => '')
    await assert.rejects(log.appendBatch(many), { code: 'TOO_LARGE' })
    const large = Array.from({ length: 5 }, () => Buffer.alloc(2 ** 24 - 64))
    await assert.rejects(log.appendBatch(large), { code: 'TOO_LARGE' })
    const { first, last } = await log.appendBatch(many.slice(1))
    assert.equal(last - first, 2 ** 19 - 1)
    const { first: start } = await log.appendBatch(large.slice(2))
    const other = await trio.member(2).log('x')
    await other.barrier()
    assert.equal((await other.get(start))?.data.length, 2 ** 24 - 64)
  })

  it('is refused by a cluster that it does not belong to, and all are told', async (t) => {
    const trio = await trioOf(t, { secret: 'ours' })
    const refused: RefusedEvent[] = []
    trio.member(1).on('refused', (event) => refused.push(event))
    const [port] = await freePorts(1)
    const peers = { ...trio.peers, 3: `127.0.0.1:${port}` }
    await trio.stopMember(3)
    const own: RefusedEvent[] = []
    const dir = join(trio.dir, 'stranger')
    const options = { id: 3, dir, listen: peers[3]!, peers, secret: 'theirs', timeoutMs: 500 }
    const stranger = await Member.start(options)
    t.after(() => stranger.close())
    stranger.on('refused', (event) => own.push(event))
    // Who else connects to a port of this machine may be refused too.
    const isTold = () => refused.some(({ reason }) => reason === 'secret')
    await until(() => isTold() && own.length > 0, 'both are told')
    await assert.rejects(stranger.log('x'), { code: 'UNAVAILABLE' })
    await stranger.close()
    const log = await trio.member(1).log('orders')
    await log.append('nothing has changed')
  })

  it('ends what is under way when it closes', async (t) => {
    const trio = await trioOf(t)
    const log = await trio.member(1).log('orders')
    await log.append('x')
    const reader = log.read({ from: log.highWaterMark, follow: true })
    const next = reader.next()
    await trio.stopMember(1)
    assert.equal((await next).done, true)
    await assert.rejects(log.append('late'), { code: 'CLOSED' })
    await assert.rejects(log.barrier(), { code: 'CLOSED' })
  })
})
