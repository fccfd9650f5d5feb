import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { LogStatus, Member, RefusedEvent } from 'tidemark/quorum'
import { Trio, until } from './trio.ts'

const stateOf = (member: Member, id: number) => member.members().find((m) => m.id === id)?.state
const votersOf = (member: Member, name: string) =>
  member
    .status()
    .logs.find((log) => log.name === name)
    ?.members.voters.join()

/** Until a change is over, all who voted before it are needed. */
const isOver = ({ members }: LogStatus) => members.outgoing.length === 0

async function textsOf(member: Member, name: string): Promise<string[]> {
  const log = await member.log(name)
  await log.barrier()
  const texts: string[] = []
  for await (const { data } of log.read()) texts.push(data.toString())
  return texts
}

describe('members of a cluster', { concurrency: 2 }, () => {
  it('come: a new one learns, gets a vote, and then replicas of logs', async (t) => {
    const trio = await Trio.start()
    t.after(() => trio.stop())
    const log = await trio.member(1).log('orders', { replicas: 5 })
    await log.append('before')
    for (const id of [4, 5]) {
      await trio.startJoiner(id)
      await trio.member(id === 4 ? 2 : 4).addMember(id, trio.peers[id]!)
      await until(() => stateOf(trio.member(1), id) === 'member', `member ${id} is one`)
    }
    await log.append('after')
    await until(() => votersOf(trio.member(5), 'orders') === '1,2,3,4,5', 'all five vote')
    assert.deepEqual(await textsOf(trio.member(5), 'orders'), ['before', 'after'])
    // Two of the first three are not a majority any more, and not needed.
    await Promise.all([trio.stopMember(1), trio.stopMember(2)])
    await (await trio.member(4).log('orders')).append('without two')
    assert.deepEqual(await textsOf(trio.member(5), 'orders'), ['before', 'after', 'without two'])
  })

  it('go: what they had is on others first, and who comes back is refused', async (t) => {
    const trio = await Trio.start()
    t.after(() => trio.stop())
    const log = await trio.member(1).log('orders')
    await log.append('one')
    await trio.startJoiner(4)
    await trio.member(1).addMember(4, trio.peers[4]!)
    await until(() => stateOf(trio.member(1), 4) === 'member', 'member 4 is one')
    await trio.member(3).removeMember(3)
    await until(() => stateOf(trio.member(1), 3) === undefined, 'member 3 is none any more')
    assert.equal(votersOf(trio.member(1), 'orders'), '1,2,4')
    assert.equal(votersOf(trio.member(1), '$catalog'), '1,2,4')
    await trio.stopMember(3)
    await log.append('two')
    assert.deepEqual(await textsOf(trio.member(4), 'orders'), ['one', 'two'])
    const back = await trio.startMember(3)
    const refused: RefusedEvent[] = []
    back.on('refused', (event) => refused.push(event))
    await until(() => refused.some(({ reason }) => reason === 'removed'), 'it is told why')
    await assert.rejects(trio.member(1).addMember(3, trio.peers[3]!), { code: 'INVALID_ARGUMENT' })
    assert.deepEqual(await textsOf(trio.member(2), 'orders'), ['one', 'two'])
  })

  it('are replaced when their folder is lost: under their id they are not let in', async (t) => {
    const trio = await Trio.start()
    t.after(() => trio.stop())
    const log = await trio.member(1).log('orders')
    for (let i = 0; i < 10; i++) await log.append(`${i}`)
    await until(
      () =>
        trio
          .member(1)
          .members()
          .every((m) => m.incarnation),
      'all are met',
    )
    await trio.stopMember(2)
    rmSync(join(trio.dir, '2'), { recursive: true })
    const wiped = await trio.startMember(2)
    const refused: RefusedEvent[] = []
    wiped.on('refused', (event) => refused.push(event))
    await until(() => refused.some(({ reason }) => reason === 'member'), 'it is refused')
    await trio.stopMember(2)
    await trio.startJoiner(7)
    await trio.member(1).addMember(7, trio.peers[7]!)
    await trio.member(1).removeMember(2)
    await until(() => stateOf(trio.member(1), 2) === undefined, 'the lost one is out')
    assert.equal(votersOf(trio.member(7), 'orders'), '1,3,7')
    await trio.stopMember(1)
    assert.equal((await textsOf(trio.member(7), 'orders')).length, 10)
    await (await trio.member(3).log('orders')).append('more')
  })

  it('have some of the logs each, and can use all', async (t) => {
    const trio = await Trio.start({}, 5)
    t.after(() => trio.stop())
    for (let i = 0; i < 10; i++) await (await trio.member(1 + (i % 5)).log(`log-${i}`)).append('x')
    const { placements } = trio.member(1).status()
    const counts = [1, 2, 3, 4, 5].map(
      (id) => placements.filter((p) => p.replicas.includes(id)).length,
    )
    assert.deepEqual(counts, [6, 6, 6, 6, 6])
    const leads = [1, 2, 3, 4, 5].map((id) => placements.filter((p) => p.preferred === id).length)
    assert.deepEqual(leads, [2, 2, 2, 2, 2])
    const without = [1, 2, 3, 4, 5].find((id) => !placements[0]!.replicas.includes(id))!
    const reader = await trio.member(without).log('log-0')
    await reader.append('from afar')
    assert.deepEqual(await textsOf(trio.member(without), 'log-0'), ['x', 'from afar'])
    const status = trio
      .member(without)
      .status()
      .logs.find((log) => log.name === 'log-0')
    assert.deepEqual(status?.members.learners, [without])
  })

  it('make three of one, which is not needed any more then', async (t) => {
    const trio = await Trio.start({}, 1)
    t.after(() => trio.stop())
    await (await trio.member(1).log('orders')).append('alone')
    for (const id of [2, 3]) {
      await trio.member(1).addMember(id, `127.0.0.1:${await trio.portFor(id)}`)
      await trio.startMember(id, { join: true })
    }
    await until(() => votersOf(trio.member(3), 'orders') === '1,2,3', 'all have a vote')
    await until(() => votersOf(trio.member(3), '$catalog') === '1,2,3', 'on the catalog too')
    await until(() => trio.member(2).status().logs.every(isOver), 'nothing is under way')
    await trio.stopMember(1)
    await (await trio.member(3).log('orders')).append('two of three')
    assert.deepEqual(await textsOf(trio.member(2), 'orders'), ['alone', 'two of three'])
    await (await trio.member(2).log('more')).append('x')
  })

  it('find each other, though who should dial does not know where to', async (t) => {
    const trio = await Trio.start()
    t.after(() => trio.stop())
    await trio.member(1).log('orders')
    await trio.member(1).transfer('$catalog', 1)
    await until(() => trio.member(3).status().logs[0]?.leader === 1, 'member 1 leads the catalog')
    // It knows one that does not lead; the leader has a lower id, and would wait to be dialed.
    const port = await trio.portFor(4)
    const own = { 3: trio.peers[3]!, 4: `127.0.0.1:${port}` }
    await trio.startMember(4, { join: true, peers: own })
    await trio.member(1).addMember(4, own[4])
    await until(() => stateOf(trio.member(2), 4) === 'member', 'it joins')
    // The one with the lowest id moves: the others dial where it was.
    await trio.stopMember(1)
    await trio.portFor(1)
    await trio.startMember(1)
    const isMet = () =>
      trio
        .member(1)
        .status()
        .peers.every(({ isConnected }) => isConnected)
    await until(isMet, 'it is connected with all')
    const address = () => trio.member(2).members()[0]!.address
    await until(() => address() === trio.peers[1], 'the others know where it is')
  })

  it('hand over the lead when they are told to, and by themselves to who should have it', async (t) => {
    const trio = await Trio.start()
    t.after(() => trio.stop())
    const log = await trio.member(1).log('orders')
    await log.append('x')
    for (const to of [3, 1, 2]) {
      await trio.member(2).transfer('orders', to)
      await until(() => log.leader === to, `member ${to} leads`)
    }
    await trio.member(3).transfer('$catalog', 3)
    const leads = () => trio.member(1).status().logs[0]?.leader === 3
    await until(leads, 'the catalog is led by member 3')
    await assert.rejects(trio.member(1).transfer('orders', 9), { code: 'INVALID_ARGUMENT' })
    await assert.rejects(trio.member(1).transfer('nothing', 1), { code: 'NOT_FOUND' })
  })

  it('are refused where they make no sense', async (t) => {
    const trio = await Trio.start({}, 1)
    t.after(() => trio.stop())
    const one = trio.member(1)
    await until(() => one.members().length === 1, 'the cluster has begun')
    const invalid = { code: 'INVALID_ARGUMENT' }
    await assert.rejects(one.removeMember(1), invalid)
    await assert.rejects(one.removeMember(2), { code: 'NOT_FOUND' })
    await assert.rejects(one.addMember(1, '127.0.0.1:1'), invalid)
    await assert.rejects(one.addMember(0, '127.0.0.1:1'), invalid)
    await assert.rejects(one.addMember(2, '127.0.0.1'), invalid)
    await assert.rejects(one.addMember(2, trio.peers[1]!), invalid)
  })
})
