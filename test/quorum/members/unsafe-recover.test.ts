import assert from 'node:assert/strict'
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { FolderLock, Log } from 'tidemark'
import { type Member, type RefusedEvent, unsafeRecover } from 'tidemark/quorum'
import { tidemark } from '../../cli/tidemark.js'
import { Trio, until } from './trio.ts'

async function textsOf(member: Member, name: string): Promise<string[]> {
  const log = await member.log(name)
  await log.barrier()
  const texts: string[] = []
  for await (const { data } of log.read()) texts.push(data.toString())
  return texts
}

const statusOf = (member: Member, name: string) =>
  member.status().logs.find((log) => log.name === name)
const stateOf = (member: Member, id: number) => member.members().find((m) => m.id === id)?.state
const membersOf = (member: Member, name: string) => {
  const members = statusOf(member, name)?.members
  return `${members?.voters}/${members?.outgoing}`
}
const isHere = (member: Member, name: string, end: number) =>
  until(() => (statusOf(member, name)?.highWaterMark ?? 0) >= end, `${name} is on ${member.id}`)

describe('the last member', { concurrency: 3 }, () => {
  it('serves what it has, refuses who comes back, and gets new ones', async (t) => {
    const trio = await Trio.start()
    t.after(() => trio.stop())
    const dir = (id: number) => join(trio.dir, String(id))
    const texts: string[] = []
    for (const name of ['orders', 'bills']) {
      const log = await trio.member(1).log(name)
      for (let i = 0; i < 20; i++) await log.append(`${name} ${i}`)
      await isHere(trio.member(3), name, log.highWaterMark)
    }
    for (let i = 0; i < 20; i++) texts.push(`orders ${i}`)
    await assert.rejects(unsafeRecover(dir(3)), { code: 'LOCKED' })
    for (const id of [1, 2, 3]) await trio.stopMember(id)
    cpSync(dir(2), join(trio.dir, 'kept'), { recursive: true })
    rmSync(dir(1), { recursive: true })
    rmSync(dir(2), { recursive: true })

    const looked = await unsafeRecover(dir(3))
    assert.deepEqual(
      [looked.id, looked.cluster, looked.isRecovered, looked.missing],
      [3, 'tidemark', false, []],
    )
    assert.deepEqual(
      looked.logs.map(({ name }) => name),
      ['$catalog', 'orders', 'bills'],
    )
    for (const log of looked.logs) {
      assert.deepEqual([log.voters, log.isVoter, log.damaged], [[1, 2, 3], true, []])
      assert(log.endOffset >= log.highWaterMark && log.highWaterMark > 0)
    }
    const done = await unsafeRecover(dir(3), { yes: true })
    assert.deepEqual(done, { ...looked, isRecovered: true })
    // Interrupted or not: once more changes nothing that anybody could see.
    await unsafeRecover(dir(3), { yes: true })

    const last = await trio.startMember(3)
    assert.deepEqual(await textsOf(last, 'orders'), texts)
    await (await last.log('bills')).append('alone')
    cpSync(join(trio.dir, 'kept'), dir(2), { recursive: true })
    const back = await trio.startMember(2)
    const refused: RefusedEvent[] = []
    back.on('refused', (event) => refused.push(event))
    await until(() => refused.some(({ reason }) => reason === 'cluster'), 'it is refused')
    await trio.stopMember(2)

    for (const id of [1, 2]) await last.removeMember(id)
    await until(() => last.members().length === 1, 'the dead are no members any more')
    for (const id of [4, 5]) {
      const joined = await trio
        .startJoiner(id, { peers: { 3: trio.peers[3]!, [id]: '' } })
        .catch(() => trio.startJoiner(id))
      await last.addMember(id, joined.address)
      await until(() => stateOf(last, id) === 'member', `member ${id} is one`)
    }
    // Until a change is settled a majority of those before is needed, too.
    for (const name of ['$catalog', 'orders', 'bills']) {
      await until(() => membersOf(last, name) === '3,4,5/', `three vote on ${name}`)
    }
    await trio.stopMember(3)
    assert.deepEqual(await textsOf(trio.member(4), 'orders'), texts)
    assert.equal((await textsOf(trio.member(5), 'bills')).at(-1), 'alone')
    await (await trio.member(5).log('orders')).append('more')
  })

  it('has some logs as a copy only, and others not at all', async (t) => {
    const trio = await Trio.start()
    t.after(() => trio.stop())
    // Each on the one who asks first.
    await (await trio.member(1).log('far', { replicas: 1 })).append('lost')
    await (await trio.member(2).log('near', { replicas: 1 })).append('copied')
    assert.deepEqual(await textsOf(trio.member(3), 'near'), ['copied'])
    for (const id of [1, 2, 3]) await trio.stopMember(id)
    const dir = join(trio.dir, '3')

    const plain = await tidemark(['cluster', 'unsafe-recover', dir])
    assert.equal(plain.code, 1)
    assert.match(plain.stderr, /^tidemark: nothing was changed; .* with --yes\n$/)
    const said = plain.stdout.toString()
    assert.match(
      said,
      /^THIS GIVES DATA UP\. It would make member 3 of tidemark the only member\.\n/,
    )
    assert.match(said, /members 1, 2 have acknowledged and that never came here are LOST/)
    assert.match(said, /\$catalog: from 0, high-water mark \d+, end \d+, term \d+\n/)
    assert.match(said, /near: from 0.*\n {2}ONLY A COPY that learned from members 2: /)
    assert.match(said, /\nfar: NOTHING of it is here; it was on members 1\. All of it is LOST\.\n/)
    const json = await tidemark(['cluster', 'unsafe-recover', dir, '--json'])
    const report = JSON.parse(json.stdout.toString())
    assert.deepEqual(report.missing, [{ name: 'far', replicas: [1] }])
    assert.deepEqual([json.code, report.isRecovered], [1, false])
    const done = await tidemark(['cluster', 'unsafe-recover', dir, '--yes'])
    assert.deepEqual([done.code, done.stderr], [0, ''])
    assert.match(done.stdout.toString(), /^member 3 of tidemark is the only member now\n/)

    const last = await trio.startMember(3, { timeoutMs: 2000 })
    const near = await last.log('near')
    await near.append('more')
    assert.deepEqual(await textsOf(last, 'near'), ['copied', 'more'])
    const at = ['--at', last.address]
    for (const id of ['1', '2']) {
      assert.equal((await tidemark(['cluster', 'remove', id, ...at])).code, 0)
    }
    const asked = await tidemark(['cluster', 'delete', 'far', ...at])
    assert.equal(asked.code, 2)
    assert.match(asked.stderr, /cluster delete removes "far" on all members; add --yes/)
    const deleted = await tidemark(['cluster', 'delete', 'far', '--yes', ...at])
    assert.equal(`${deleted.stdout}${deleted.stderr}`, 'far is deleted\n')
    await until(() => last.members().length === 1, 'the dead are no members any more')
    await (await last.log('far', { replicas: 1 })).append('anew')
    assert.deepEqual(await textsOf(last, 'far'), ['anew'])
  })

  it('says what is damaged: a lost end is a gap, a hole stays one', async (t) => {
    const trio = await Trio.start({ scrubBytesPerSecond: 0, timeoutMs: 2000 })
    t.after(() => trio.stop())
    const ids = new Map<string, number>()
    for (const name of ['cut', 'holed']) {
      const log = await trio.member(1).log(name)
      for (let i = 0; i < 10; i++) await log.append(`entry ${i}`)
      await isHere(trio.member(3), name, log.highWaterMark)
      ids.set(name, statusOf(trio.member(3), name)!.id)
    }
    for (const id of [1, 2, 3]) await trio.stopMember(id)
    const dir = join(trio.dir, '3')
    const store = (name: string) => {
      const folder = join(dir, 'logs', String(ids.get(name)))
      const [file] = readdirSync(folder).filter((each) => each.endsWith('.store'))
      return join(folder, file!)
    }
    const cut = store('cut')
    truncateSync(cut, statSync(cut).size - 20)
    const bytes = readFileSync(store('holed'))
    bytes[bytes.indexOf('entry 5')]! ^= 1
    writeFileSync(store('holed'), bytes)

    const report = await unsafeRecover(dir, { yes: true })
    const logOf = (name: string) => report.logs.find((log) => log.name === name)!
    assert(logOf('cut').lostEnd! > logOf('cut').endOffset)
    assert.equal(logOf('holed').damaged.length, 1)
    const last = await trio.startMember(3)
    const kept = await textsOf(last, 'cut')
    assert.deepEqual(
      kept.slice(0, 8),
      Array.from({ length: 8 }, (_, i) => `entry ${i}`),
    )
    const offset = await (await last.log('cut')).append('on')
    assert(offset >= logOf('cut').lostEnd!)
    assert.deepEqual(await textsOf(last, 'cut'), [...kept, 'on'])
    const holed = await last.log('holed')
    const [{ from, to }] = logOf('holed').damaged as [{ from: number; to: number }]
    const read: string[] = []
    for await (const { data } of holed.read({ to: from })) read.push(data.toString())
    for await (const { data } of holed.read({ from: to })) read.push(data.toString())
    assert.deepEqual(
      read.filter((text) => text !== 'entry 5'),
      Array.from({ length: 10 }, (_, i) => `entry ${i}`).filter((text) => text !== 'entry 5'),
    )
    await assert.rejects(holed.append('no'), { code: 'UNAVAILABLE' })
    await last.deleteLog('holed')
  })

  it('is a member, whole enough to be one, and stopped', async (t) => {
    const trio = await Trio.start({}, 1)
    t.after(() => trio.stop())
    await (await trio.member(1).log('orders')).append('one')
    await trio.stopMember(1)
    const dir = join(trio.dir, '1')
    await assert.rejects(unsafeRecover(join(trio.dir, 'nothing')), { code: 'NOT_FOUND' })
    assert(!readdirSync(trio.dir).includes('nothing'))
    const plain = join(trio.dir, 'plain')
    await (await Log.open(plain)).close()
    await assert.rejects(unsafeRecover(plain), { code: 'NOT_FOUND', message: /no votes/ })
    const lock = await FolderLock.acquire(dir)
    await assert.rejects(unsafeRecover(dir, { yes: true }), { code: 'LOCKED' })
    lock.release()
    const other = join(trio.dir, 'other')
    mkdirSync(other)
    await (await Log.open(join(other, 'votes'))).close()
    await assert.rejects(unsafeRecover(other), { code: 'NOT_FOUND', message: /nobody was in it/ })
    const bad = join(trio.dir, 'bad')
    cpSync(dir, bad, { recursive: true })
    const votes = await Log.open(join(bad, 'votes'))
    await votes.append('no hard state')
    await votes.close()
    const { code, stderr } = await tidemark(['cluster', 'unsafe-recover', bad, '--yes'])
    assert.equal(code, 1)
    assert.match(stderr, /^tidemark: CORRUPT: the hard state at offset \d+ cannot be read\n$/)
    const usage = await tidemark(['cluster', 'unsafe-recover', '--yes'])
    assert.deepEqual([usage.code, /needs <dir>, and was given 0/.test(usage.stderr)], [2, true])
    rmSync(join(dir, 'logs', '0'), { recursive: true })
    await assert.rejects(unsafeRecover(dir, { yes: true }), { code: 'CORRUPT' })
  })
})
