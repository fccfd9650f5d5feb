import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { type Entry, verifyLog } from 'tidemark'
import type { DamagedEvent, Member, RepairedEvent, ReplicatedLog } from 'tidemark/quorum'
import { Trio, until } from './trio.ts'

// Damage anywhere in the store of a member is found, and got back from the others.

const SMALL = { segmentBytes: 65_536 }
const COUNT = 600
const textOf = (i: number) => `${i} ${'abcdefgh'.repeat(100 + (i % 40))}`

interface Cluster {
  readonly trio: Trio
  readonly offsets: readonly number[]
  /** Numbers the log in the folders of the members. */
  readonly id: number
}

async function clusterOf(t: TestContext): Promise<Cluster> {
  const trio = await Trio.start({ scrubBytesPerSecond: 0 })
  t.after(() => trio.stop())
  const log = await trio.member(1).log('orders', SMALL)
  const appends: Promise<number>[] = []
  for (let i = 0; i < COUNT; i++) {
    appends.push(log.append(textOf(i)))
    // Batches of some entries.
    if (i % 5 === 0) await appends.at(-1)
  }
  const offsets = await Promise.all(appends)
  for (const id of [1, 2, 3]) await (await trio.member(id).log('orders')).barrier()
  return { trio, offsets, id: log.status().id }
}

function folderOf({ trio, id }: Cluster, member: number): string {
  return join(trio.dir, String(member), 'logs', String(id))
}

function filesOf(cluster: Cluster, member: number, suffix: string): string[] {
  const folder = folderOf(cluster, member)
  const names = readdirSync(folder).filter((name) => name.endsWith(suffix))
  return names.sort().map((name) => join(folder, name))
}

function flip(path: string, bit: number): void {
  const bytes = readFileSync(path)
  bytes[bit >> 3]! ^= 1 << (bit & 7)
  writeFileSync(path, bytes, { flag: 'r+' })
}

/** Where the data of the entry with this text begins, in bytes, and its file. */
function placeOf(cluster: Cluster, member: number, i: number): { path: string; at: number } {
  for (const path of filesOf(cluster, member, '.store')) {
    const at = readFileSync(path).indexOf(textOf(i))
    if (at >= 0) return { path, at }
  }
  throw new Error(`entry ${i} is on member ${member}`)
}

function hurt(cluster: Cluster, member: number, i: number): void {
  const { path, at } = placeOf(cluster, member, i)
  flip(path, (at + 7) * 8)
}

/** Numbers that look drawn, and are the same each time. */
function drawsOf(seed: number): (below: number) => number {
  let state = seed * 7919 + 13
  return (below) => {
    state = (state * 48_271) % 0x7fffffff
    return state % below
  }
}

async function textsOf(entries: AsyncIterable<Entry>): Promise<string[]> {
  const texts: string[] = []
  for await (const { data } of entries) texts.push(data.toString())
  return texts
}

async function assertAll(log: ReplicatedLog<Buffer, Uint8Array | string>, more: string[] = []) {
  await log.barrier()
  const expected = [...Array.from({ length: COUNT }, (_, i) => textOf(i)), ...more]
  assert.deepEqual(await textsOf(log.read()), expected)
}

async function isWhole(member: Member): Promise<void> {
  const log = await member.log('orders')
  const isSo = () => log.status().holes.length === 0 && log.status().role !== 'failed'
  await until(isSo, 'it is whole')
}

async function assertSound(cluster: Cluster, member: number): Promise<void> {
  await isWhole(cluster.trio.member(member))
  await cluster.trio.stopMember(member)
  const { damage, notes } = await verifyLog(folderOf(cluster, member))
  assert.deepEqual(damage, [])
  // The index of the active segment is made anew when it is sealed.
  const active = filesOf(cluster, member, '.index').at(-1)!
  const others = notes.filter((note) => !active.includes(note.split(' ')[0]!))
  assert.deepEqual(others, [])
  await cluster.trio.startMember(member)
}

function eventsOf(member: Member) {
  const damaged: DamagedEvent[] = []
  const repaired: RepairedEvent[] = []
  member.on('damaged', (event) => damaged.push(event))
  member.on('repaired', (event) => repaired.push(event))
  return { damaged, repaired }
}

function leaderOf(log: ReplicatedLog<Buffer, Uint8Array | string>): number {
  const { leader } = log
  assert(leader !== undefined, 'somebody leads')
  return leader
}

describe('damage on one member', { concurrency: 2 }, () => {
  for (const seed of [1, 2, 3, 4]) {
    it(`anywhere in its stores while it is stopped is repaired (${seed})`, async (t) => {
      const cluster = await clusterOf(t)
      const { trio } = cluster
      const draw = drawsOf(seed)
      const hurtId = 1 + draw(3)
      await trio.stopMember(hurtId)
      const paths = [...filesOf(cluster, hurtId, '.store'), ...filesOf(cluster, hurtId, '.index')]
      for (let i = 0; i < 12; i++) {
        const path = paths[draw(paths.length)]!
        flip(path, draw(statSync(path).size * 8))
      }
      const member = await trio.startMember(hurtId)
      await assertAll(await member.log('orders'))
      for (const id of trio.members.keys()) await assertAll(await trio.member(id).log('orders'))
      await member.scrub()
      await assertSound(cluster, hurtId)
    })

    it(`anywhere in its stores while it runs is repaired (${seed})`, async (t) => {
      const cluster = await clusterOf(t)
      const { trio } = cluster
      const draw = drawsOf(seed + 100)
      const hurtId = 1 + draw(3)
      const paths = filesOf(cluster, hurtId, '.store').slice(0, -1)
      for (let i = 0; i < 6; i++) {
        const path = paths[draw(paths.length)]!
        flip(path, (64 + draw(statSync(path).size - 64)) * 8)
      }
      hurt(cluster, hurtId, COUNT - 1)
      const member = trio.member(hurtId)
      const { damaged, repaired } = eventsOf(member)
      const log = await member.log('orders')
      await assertAll(log)
      await member.scrub()
      await isWhole(member)
      assert(damaged.length > 0)
      await until(() => repaired.length === damaged.length, 'all is repaired')
      assert(log.status().repaired > 0)
      await log.append('more')
      for (const id of [1, 2, 3]) await assertAll(await trio.member(id).log('orders'), ['more'])
      await assertSound(cluster, hurtId)
    })
  }

  it('that cut a sealed store short is repaired', async (t) => {
    const cluster = await clusterOf(t)
    await cluster.trio.stopMember(2)
    const paths = filesOf(cluster, 2, '.store')
    truncateSync(paths[1]!, 30_000)
    truncateSync(paths[3]!, 0)
    const member = await cluster.trio.startMember(2)
    await assertAll(await member.log('orders'))
    await assertSound(cluster, 2)
  })

  it('that a leader meets when it sends from there does not keep a follower behind', async (t) => {
    const cluster = await clusterOf(t)
    const { trio } = cluster
    const leader = leaderOf(await trio.member(1).log('orders'))
    const away = leader === 3 ? 2 : leader + 1
    const third = 6 - leader - away
    await trio.stopMember(away)
    const log = await trio.member(leader).log('orders')
    const more = Array.from({ length: 4_000 }, (_, i) => `more ${i} ${'x'.repeat(1_000)}`)
    await Promise.all(more.map((text) => log.append(text)))
    const hurtIndex = 3
    for (const path of filesOf(cluster, leader, '.store')) {
      const at = readFileSync(path).indexOf(`more ${hurtIndex} `)
      if (at >= 0) flip(path, (at + 20) * 8)
    }
    const { damaged, repaired } = eventsOf(trio.member(leader))
    const member = await trio.startMember(away)
    await assertAll(await member.log('orders'), more)
    await until(() => repaired.length > 0 && damaged.length > 0, 'it is repaired')
    for (const id of [leader, third]) await assertAll(await trio.member(id).log('orders'), more)
    await assertSound(cluster, leader)
  })

  it('does not end a reading that follows, nor one that is under way', async (t) => {
    const cluster = await clusterOf(t)
    const { trio } = cluster
    const log = await trio.member(2).log('orders')
    const followed: string[] = []
    const reader = log.read({ follow: true })
    const following = (async () => {
      for await (const { data } of reader) followed.push(data.toString())
    })()
    await until(() => followed.length === COUNT, 'all is followed')
    const slow = log.read()[Symbol.asyncIterator]()
    const first: string[] = []
    for (let i = 0; i < 50; i++) first.push((await slow.next()).value!.data.toString())
    hurt(cluster, 2, 300)
    hurt(cluster, 2, 400)
    // Others meet it first.
    assert.equal((await log.get(cluster.offsets[300]!))?.data.toString(), textOf(300))
    const rest = await Promise.all(Array.from({ length: COUNT }, () => slow.next()))
    for (const { value, done } of rest) if (!done) first.push(value.data.toString())
    assert.deepEqual(
      first,
      Array.from({ length: COUNT }, (_, i) => textOf(i)),
    )
    hurt(cluster, 2, 200)
    const back = await textsOf(log.read({ reverse: true }))
    assert.deepEqual(back.reverse(), first)
    const batched: string[] = []
    hurt(cluster, 2, 250)
    for await (const entries of log.read({ from: cluster.offsets[100]! }).batches()) {
      for (const { data } of entries) batched.push(data.toString())
    }
    assert.deepEqual(batched, first.slice(100))
    await log.append('one more')
    await until(() => followed.length > COUNT, 'it follows on')
    assert.deepEqual(followed, [...first, 'one more'])
    await reader.return()
    await following
    await assertSound(cluster, 2)
  })

  it('again and again, while all append and somebody follows, loses nothing', async (t) => {
    const cluster = await clusterOf(t)
    const { trio } = cluster
    const draw = drawsOf(7)
    const logs = await Promise.all([1, 2, 3].map((id) => trio.member(id).log('orders')))
    const followed: string[] = []
    const reader = logs[0]!.read({ follow: true })
    const following = (async () => {
      for await (const { data } of reader) followed.push(data.toString())
    })()
    const more: string[] = []
    let isOver = false
    const appending = (async () => {
      for (let i = 0; !isOver; i++) {
        const text = `more ${i} ${'y'.repeat(900)}`
        await logs[i % 3]!.append(text)
        more.push(text)
      }
    })()
    for (let round = 0; round < 6; round++) {
      const paths = filesOf(cluster, 1, '.store')
      const path = paths[draw(paths.length - 1)]!
      if (round === 3) truncateSync(path, 64 + draw(20_000))
      else flip(path, (64 + draw(20_000)) * 8)
      await trio.member(1).scrub()
    }
    isOver = true
    await appending
    for (const log of logs) await assertAll(log, more)
    await until(() => followed.length === COUNT + more.length, 'all is followed')
    assert.deepEqual(followed.slice(COUNT), more)
    await reader.return()
    await following
    await assertSound(cluster, 1)
  })

  it('that a leader finds is repaired without an election that somebody waits for', async (t) => {
    const cluster = await clusterOf(t)
    const { trio } = cluster
    const leader = leaderOf(await trio.member(1).log('orders'))
    const member = trio.member(leader)
    const { repaired } = eventsOf(member)
    const leaders: (number | undefined)[] = []
    member.on('leader', (event) => {
      if (event.log === 'orders') leaders.push(event.leader)
    })
    hurt(cluster, leader, 222)
    const log = await member.log('orders')
    const [report, offset] = await Promise.all([member.scrub(), log.append('meanwhile')])
    assert.equal(report.damaged.length, 1)
    assert(offset > cluster.offsets.at(-1)!)
    await until(() => repaired.length === 1, 'it is repaired')
    await until(() => leaders.some((id) => id !== undefined && id !== leader), 'another leads')
    await assertAll(log, ['meanwhile'])
  })

  it('is found by a scrub before anybody reads it', async (t) => {
    const cluster = await clusterOf(t)
    const { trio, offsets } = cluster
    const member = trio.member(3)
    const { damaged, repaired } = eventsOf(member)
    const sound = await member.scrub({ log: 'orders' })
    assert.deepEqual(sound.damaged, [])
    assert(sound.entries > COUNT)
    assert.equal(sound.logs, 1)
    hurt(cluster, 3, 77)
    hurt(cluster, 3, 500)
    const seen: number[] = []
    const report = await member.scrub({ onProgress: ({ bytes }) => seen.push(bytes) })
    assert.deepEqual(
      report.damaged.map(({ log, from }) => [log, from]),
      [77, 500].map((i) => ['orders', offsets[i]]),
    )
    assert(report.logs > 1 && seen.length > 5 && report.bytes > COUNT * 800)
    await until(() => repaired.length === 2, 'all is repaired')
    assert.deepEqual(
      damaged.map(({ from }) => from),
      [offsets[77], offsets[500]],
    )
    await assertSound(cluster, 3)
    await assert.rejects(member.scrub({ log: 'nobody' }), { code: 'CLOSED' })
    await assert.rejects(trio.member(3).scrub({ log: 'nobody' }), { code: 'NOT_FOUND' })
  })
})

describe('damage on several members', { concurrency: 2 }, () => {
  it('in different places is repaired by each other', async (t) => {
    const cluster = await clusterOf(t)
    for (const id of [1, 2, 3]) hurt(cluster, id, 100 * id)
    for (const id of [1, 2, 3]) await cluster.trio.member(id).scrub()
    for (const id of [1, 2, 3]) await assertAll(await cluster.trio.member(id).log('orders'))
    for (const id of [1, 2, 3]) await assertSound(cluster, id)
  })

  it('in the same entry makes nobody invent one: who reads is told', async (t) => {
    const cluster = await clusterOf(t)
    const { trio, offsets } = cluster
    const lost = offsets[150]!
    for (const id of [1, 2, 3]) {
      await trio.stopMember(id)
      hurt(cluster, id, 150)
    }
    for (const id of [1, 2, 3]) await trio.startMember(id, { timeoutMs: 1_500 })
    for (const id of [1, 2, 3]) await trio.member(id).scrub()
    const log = await trio.member(2).log('orders')
    const holds = () => log.status().holes.some(({ from, to }) => from <= lost && lost < to)
    await until(holds, 'the status names it')
    const error = await log.get(lost).then(
      () => assert.fail('nobody has it'),
      (thrown) => thrown,
    )
    assert.equal(error.code, 'CORRUPT')
    assert.equal(error.details.offset, lost)
    assert.match(error.message, new RegExp(`offset ${lost} of the log orders`))
    const before: string[] = []
    await assert.rejects(
      async () => {
        for await (const { data } of log.read()) before.push(data.toString())
      },
      { code: 'CORRUPT' },
    )
    assert.deepEqual(
      before,
      Array.from({ length: 150 }, (_, i) => textOf(i)),
    )
    const after = await textsOf(log.read({ from: offsets[151]! }))
    assert.deepEqual(
      after,
      Array.from({ length: COUNT - 151 }, (_, i) => textOf(i + 151)),
    )
    assert(holds())
  })
})
