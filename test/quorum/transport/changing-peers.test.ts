import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type PeerIdentity, Refusal } from '#dist/quorum/transport/index.js'
import { assertTalking, NOWHERE, startMember, type TestMember, until } from './members.js'
import { dialRaw } from './raw-dialer.js'

async function closeAll(...members: TestMember[]): Promise<void> {
  await Promise.all(members.map(({ transport }) => transport.close()))
}

describe('the peers of a member', () => {
  it('can be named later, by either side', async () => {
    const [one, two, three] = [
      await startMember(1, {}),
      await startMember(2, {}),
      await startMember(3, {}),
    ]
    two.transport.setPeer(1, one.transport.address)
    await assertTalking(one, two)
    three.transport.setPeer(1, one.transport.address)
    one.transport.setPeer(3, three.transport.address)
    await assertTalking(one, three)
    for (const { refused } of [one, two, three]) assert.deepEqual(refused, [])
    await closeAll(one, two, three)
  })

  it('are dialed at a new address from the next attempt on', async () => {
    const [one, two] = [await startMember(1, {}), await startMember(2, { 1: NOWHERE })]
    await sleep(50)
    two.transport.setPeer(1, one.transport.address)
    await assertTalking(one, two)
    const elsewhere = await startMember(1, {})
    two.transport.setPeer(1, elsewhere.transport.address)
    await sleep(50)
    await assertTalking(one, two)
    await one.transport.close()
    await assertTalking(elsewhere, two)
    await closeAll(elsewhere, two)
  })

  it('can be dropped, and are not dialed again', async () => {
    const one = await startMember(1, {})
    const two = await startMember(2, { 1: one.transport.address })
    const lost = await startMember(3, { 1: NOWHERE, 2: two.transport.address })
    await assertTalking(one, two)
    await assertTalking(two, lost)
    two.transport.dropPeer(1)
    assert.equal(two.say(1, 'nobody hears'), false)
    assert.deepEqual(
      two.told.filter((line) => line.includes('own')),
      ['down 1'],
    )
    await until(() => one.told.includes('down 2'), 'down')
    // Also between two attempts.
    lost.transport.dropPeer(1)
    two.transport.dropPeer(9)
    await sleep(300)
    assert.equal(one.transport.isConnected(2), false)
    assert(!two.told.includes('unreachable 1'))
    await assertTalking(two, lost)
    two.transport.setPeer(1, one.transport.address)
    await assertTalking(one, two)
    await closeAll(one, two, lost)
  })

  it('say what is wrong with a new one', async () => {
    const one = await startMember(1, {})
    const code = 'INVALID_ARGUMENT'
    assert.throws(() => one.transport.setPeer(1, NOWHERE), { code })
    assert.throws(() => one.transport.setPeer(2, 'nowhere'), { code })
    assert.throws(() => one.transport.setPeer(2 ** 32, NOWHERE), { code })
    assert.throws(() => one.transport.setFounders(Buffer.alloc(7)), { code })
    await one.transport.close()
    one.transport.setPeer(2, NOWHERE)
    one.transport.dropPeer(2)
  })
})

describe('a member that nobody has named', () => {
  it('is let in if it dials, and forgotten when it goes', async () => {
    const one = await startMember(1, {}, { secret: 'known' })
    const nine = await startMember(9, { 1: one.transport.address }, { secret: 'known' })
    await assertTalking(one, nine)
    await closeAll(nine)
    await until(() => one.told.includes('down 9'), 'down')
    assert.equal(one.say(9, 'nobody hears'), false)
    const again = await startMember(9, { 1: one.transport.address }, { secret: 'known' })
    await assertTalking(one, again)
    // It is named while it is connected.
    one.transport.setPeer(9, again.transport.address)
    await closeAll(again)
    await until(() => one.told.includes('unreachable 9'), 'it was looked for')
    await closeAll(one)
  })

  it('replaces the connection that it had', async () => {
    const one = await startMember(1, {})
    const nine = await startMember(9, { 1: one.transport.address })
    await assertTalking(one, nine)
    const again = dialRaw(one.transport.address, { id: 9, expected: 1 })
    assert.equal(await again.welcome, 1)
    assert.deepEqual(one.told.filter((line) => / 9/.test(line)).slice(-3), [
      'up 9',
      'down 9',
      'up 9',
    ])
    await again.close()
    await closeAll(one, nine)
  })

  it('is refused with the same id, or if it was removed', async () => {
    const checkMember = (id: number) =>
      id === 7 ? new Refusal('removed', 'member 7 was removed') : undefined
    const five = await startMember(5, { 6: NOWHERE, 7: NOWHERE }, { checkMember })
    for (const [id, reason, text] of [
      [5, 'member', 'member 5 itself is none that dials member 5'],
      [7, 'removed', 'member 7 was removed'],
    ] as const) {
      const dialer = dialRaw(five.transport.address, { id, expected: 5 })
      assert.deepEqual(await dialer.refused, { reason, text })
    }
    // Only who has proven to be a member hears that it is none any more.
    const liar = dialRaw(five.transport.address, { id: 7, expected: 5, secret: 'wrong' })
    await assert.doesNotReject(liar.close())
    assert.equal(five.transport.isConnected(7), false)
    await closeAll(five)
  })

  it('is let in with a lower id too, but not beside a connection that there is', async () => {
    const five = await startMember(5, { 4: NOWHERE })
    const first = dialRaw(five.transport.address, { id: 4, expected: 5 })
    assert.equal(await first.welcome, 5)
    const second = dialRaw(five.transport.address, { id: 4, expected: 5 })
    await second.close()
    assert.ok(five.transport.isConnected(4))
    await first.close()
    await closeAll(five)
  })

  it('is refused where many are already', async () => {
    const one = await startMember(1, {})
    const dialers = Array.from({ length: 64 }, (_, i) => {
      return dialRaw(one.transport.address, { id: 100 + i, expected: 1 })
    })
    for (const { welcome } of dialers) assert.equal(await welcome, 1)
    const late = dialRaw(one.transport.address, { id: 9, expected: 1 })
    assert.equal((await late.refused)?.reason, 'busy')
    one.transport.setPeer(9, NOWHERE)
    const named = dialRaw(one.transport.address, { id: 9, expected: 1 })
    assert.equal(await named.welcome, 1)
    await Promise.all([...dialers, named].map((dialer) => dialer.close()))
    await closeAll(one)
  })
})

describe('the founders of a cluster', () => {
  const [ours, others] = [Buffer.alloc(8, 1), Buffer.alloc(8, 2)]

  it('are told to a member that does not know them', async () => {
    const met: PeerIdentity[] = []
    const onUp = (peer: PeerIdentity) => met.push(peer)
    const one = await startMember(1, {}, { founders: ours, onUp })
    const two = await startMember(2, { 1: one.transport.address }, { onUp })
    await assertTalking(one, two)
    assert.deepEqual(
      met.map(({ id, founders }) => [id, Buffer.from(founders).toString('hex')]).sort(),
      [
        [1, '01'.repeat(8)],
        [2, '00'.repeat(8)],
      ],
    )
    // From the next connection on it knows.
    two.transport.setFounders(ours)
    two.transport.dropPeer(1)
    two.transport.setPeer(1, one.transport.address)
    await assertTalking(one, two)
    assert.equal(met.at(-1)!.id + met.at(-2)!.id, 3)
    const [known] = met.slice(-2).filter(({ id }) => id === 2)
    assert.deepEqual(Buffer.from(known!.founders), ours)
    await closeAll(one, two)
  })

  it('are the same, or nobody is let in', async () => {
    const one = await startMember(1, { 2: NOWHERE }, { founders: ours })
    const two = await startMember(2, { 1: one.transport.address }, { founders: others })
    await until(() => two.refused.length > 0 && one.refused.length > 0, 'refused')
    const text = 'the clusters "test" here and there were made with other members'
    for (const { refused } of [one, two]) {
      assert.deepEqual([refused[0]!.reason, refused[0]!.text], ['cluster', text])
    }
    await closeAll(one, two)
  })

  it('may be unknown to both', async () => {
    const one = await startMember(1, {})
    const two = await startMember(2, { 1: one.transport.address })
    await assertTalking(one, two)
    await closeAll(one, two)
  })
})
