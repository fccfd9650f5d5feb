import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { InvariantError } from '#dist/base/index.js'
import { seededRandom } from '#dist/io/index.js'
import {
  drawNetwork,
  FAULTLESS_NETWORK,
  type NetworkParameters,
  SimulatedNetwork,
  SimulatedTime,
} from '#dist/simulation/index.js'

const IDS = [1, 2, 3, 4, 5]

let time: SimulatedTime
let received: string[]

beforeEach(() => {
  time = new SimulatedTime()
  received = []
})

/** A network with members 1 to 5 that note what they receive. */
function networkOf(
  parameters: Partial<NetworkParameters> = {},
  seed = 1,
): SimulatedNetwork<string> {
  const all = { ...FAULTLESS_NETWORK, ...parameters }
  const network = new SimulatedNetwork<string>(time, seededRandom(seed), all)
  for (const id of IDS) attach(network, id)
  return network
}

function attach(network: SimulatedNetwork<string>, id: number): void {
  network.attach(id, (from, message) => received.push(`${from}>${id} ${message}`))
}

/** Sends from each to each, and returns the paths on which nothing came within a second. */
async function cutPaths(network: SimulatedNetwork<string>, ids = IDS): Promise<string[]> {
  const pairs = ids.flatMap((from) => ids.filter((to) => to !== from).map((to) => [from, to]))
  for (const [from, to] of pairs) network.send(from!, to!, 'probe')
  const before = received.length
  await time.run(time.now + 1000)
  const came = new Set(received.slice(before))
  return pairs.map(([from, to]) => `${from}>${to}`).filter((path) => !came.has(`${path} probe`))
}

/** Sends messages 0, 1, ... from 1 to 2 at intervals, and returns those that come, in order. */
async function stream(
  network: SimulatedNetwork<string>,
  count: number,
  everyMs = 1,
): Promise<number[]> {
  for (let i = 0; i < count; i++) time.schedule(i * everyMs, () => network.send(1, 2, `${i}`))
  await time.run(time.now + count * everyMs + 60_000)
  return received.map((line) => Number(line.split(' ')[1]))
}

describe('a SimulatedNetwork', () => {
  it('repeats a run bit for bit', async () => {
    const run = async (seed: number): Promise<string> => {
      const at = new SimulatedTime()
      const network = new SimulatedNetwork<number>(at, seededRandom(seed), {
        ...FAULTLESS_NETWORK,
        delayMeanMs: 40,
        loss: 0.1,
        duplication: 0.3,
        pathCapacity: 5,
        clog: 0.02,
        clogMeanMs: 500,
      })
      const trace: string[] = []
      for (const id of IDS) {
        network.attach(id, (from, hops) => {
          trace.push(`${at.now} ${from}>${id} ${hops}`)
          if (hops > 0) for (const to of IDS) network.send(id, to, hops - 1)
        })
      }
      network.send(1, 2, 5)
      await at.run(60_000)
      return `${trace.join('\n')}${JSON.stringify(network.faults)}`
    }
    const first = await run(8)
    assert(first.length > 10_000, 'the run ended at once')
    assert.equal(await run(8), first)
    assert.notEqual(await run(9), first)
  })

  it('delays by the minimum and an exponential beyond it, and so reorders', async () => {
    const network = networkOf({ delayMinMs: 20, delayMeanMs: 60 })
    const delays: number[] = []
    network.detach(2)
    network.attach(2, (_from, sent) => delays.push(time.now - Number(sent)))
    for (let i = 0; i < 5000; i++) time.schedule(i, () => network.send(1, 2, `${time.now}`))
    await time.run(10_000)
    assert.equal(delays.length, 5000)
    assert(Math.min(...delays) >= 20)
    const mean = delays.reduce((sum, delay) => sum + delay) / delays.length
    assert(Math.abs(mean - 60) < 3, `${mean}`)
    const order = await stream(networkOf({ delayMeanMs: 30 }), 50)
    assert.equal(order.length, 50)
    assert.notDeepEqual(
      order,
      [...order].sort((a, b) => a - b),
    )
  })

  it('loses', async () => {
    const network = networkOf({ loss: 0.2 })
    const came = await stream(network, 2000)
    assert.equal(network.faults.lost, 2000 - came.length)
    assert(Math.abs(network.faults.lost - 400) < 80, `${network.faults.lost}`)
  })

  it('repeats, later', async () => {
    const network = networkOf({ duplication: 0.25, delayMeanMs: 20 })
    const came = await stream(network, 1000, 5)
    assert.equal(new Set(came).size, 1000)
    assert.equal(came.length, 1000 + network.faults.duplicated)
    assert.equal(network.delivered, came.length)
    // A repetition may be repeated.
    assert(Math.abs(network.faults.duplicated - 333) < 70, `${network.faults.duplicated}`)
  })

  it('drops one at random where a path is full', async () => {
    const network = networkOf({ pathCapacity: 4 })
    for (let i = 0; i < 20; i++) network.send(1, 2, `${i}`)
    network.send(2, 1, 'the other way')
    assert.equal(network.underWay, 5)
    await time.run(10)
    assert.equal(network.faults.overflowed, 16)
    assert.equal(received.length, 5)
    assert(received.includes('1>2 19'), 'what comes last is carried')
    assert.notDeepEqual(received.slice(0, 3), ['1>2 16', '1>2 17', '1>2 18'])
    assert.equal(network.underWay, 0)
  })

  it('clogs a path, and delivers what was held back in order', async () => {
    const network = networkOf()
    network.send(1, 2, 'under way')
    network.clog(1, 2, 100)
    network.clog(1, 2, 50)
    time.schedule(20, () => network.send(1, 2, 'second'))
    network.send(2, 1, 'free')
    await time.run(99)
    assert.deepEqual(received, ['2>1 free'])
    assert.equal(network.underWay, 2)
    await time.run(100)
    assert.deepEqual(received.slice(1), ['1>2 under way', '1>2 second'])
    assert.equal(network.faults.clogs, 2)
    await stream(network, 3)
    assert.equal(received.length, 6)
  })

  it('clogs by chance', async () => {
    const network = networkOf({ clog: 0.02, clogMeanMs: 200 })
    const came = await stream(network, 1000)
    assert(network.faults.clogs > 5)
    assert.equal(came.length, 1000)
  })

  it('lets what a clog holds back overflow', async () => {
    const network = networkOf({ pathCapacity: 3 })
    network.clog(1, 2, 1000)
    const came = await stream(network, 10, 10)
    assert.equal(came.length, 3)
    assert(came.includes(9))
    assert.equal(network.faults.overflowed, 7)
  })

  it('partitions in both directions, or in one', async () => {
    const network = networkOf()
    const across = ['1>3', '1>4', '2>3', '2>4']
    const back = ['3>1', '3>2', '4>1', '4>2']
    const groups = [
      [1, 2],
      [3, 4],
    ]
    network.partition(groups)
    assert.deepEqual((await cutPaths(network)).sort(), [...across, ...back])
    network.partition(groups, { symmetric: false })
    assert.deepEqual((await cutPaths(network)).sort(), back)
    assert.equal(network.faults.partitions, 2)
    assert.equal(network.faults.blocked, 12)
    network.unite()
    assert.deepEqual(await cutPaths(network), [])
    assert.throws(() => network.partition([[1], [1, 2]]), { code: 'INVALID_ARGUMENT' })
  })

  it('loses what meets a partition under way, and not what is past it', async () => {
    const network = networkOf({ delayMinMs: 10, delayMeanMs: 10 })
    network.send(1, 2, 'cut')
    time.schedule(5, () => network.partition([[1], [2]]))
    time.schedule(15, () => network.heal())
    time.schedule(16, () => network.send(1, 2, 'whole'))
    await time.run(100)
    assert.deepEqual(received, ['1>2 whole'])
    assert.equal(network.faults.blocked, 1)
  })

  it('strands a member on another, and makes a ring', async () => {
    const network = networkOf()
    network.strand(1, 2, IDS)
    assert.deepEqual((await cutPaths(network)).sort(), ['1>3', '1>4', '1>5', '3>1', '4>1', '5>1'])
    network.ring([1, 3, 5, 2, 4])
    const cut = await cutPaths(network)
    assert.equal(cut.length, 10)
    for (const path of ['1>3', '3>5', '5>2', '2>4', '4>1', '1>4']) assert(!cut.includes(path))
    network.ring([1, 2, 3])
    assert.deepEqual(await cutPaths(network), [])
    assert.throws(() => network.strand(1, 1, IDS), { code: 'INVALID_ARGUMENT' })
    assert.throws(() => network.strand(1, 9, IDS), { code: 'INVALID_ARGUMENT' })
    assert.throws(() => network.ring([1, 2, 1]), { code: 'INVALID_ARGUMENT' })
  })

  it('blocks one direction between two', async () => {
    const network = networkOf()
    network.block(4, 5)
    assert.deepEqual(await cutPaths(network), ['4>5'])
    network.unblock(4, 5)
    assert.deepEqual(await cutPaths(network), [])
  })

  it('hangs a member, which still receives', async () => {
    const network = networkOf()
    network.hang(3)
    assert.deepEqual(await cutPaths(network), ['3>1', '3>2', '3>4', '3>5'])
    assert.equal(network.faults.hangs, 1)
    assert.equal(network.faults.swallowed, 4)
    network.unhang(3)
    assert.deepEqual(await cutPaths(network), [])
    network.hang(3)
    network.detach(3)
    attach(network, 3)
    assert.deepEqual(await cutPaths(network), [])
  })

  it('heals everything at once, also what was clogged', async () => {
    const network = networkOf()
    network.partition([[1], [2]])
    network.block(2, 3)
    network.hang(4)
    network.clog(1, 5, 1e9)
    network.send(1, 5, 'held back')
    await time.run(50)
    network.heal()
    assert.deepEqual(await cutPaths(network), [])
    assert.equal(received[0], '1>5 held back')
    assert.equal(time.pending, 0)
  })

  it('heals among some for good, and chance is over', async () => {
    const network = networkOf({ loss: 0.9, duplication: 0.9, clog: 0.9, clogMeanMs: 1e6 })
    network.partition([[1], [2, 3]])
    network.hang(1)
    network.healAmong([1, 2, 3])
    const lost = network.faults.lost
    const border = [1, 2, 3].flatMap((a) => [4, 5].flatMap((b) => [`${a}>${b}`, `${b}>${a}`]))
    assert.deepEqual((await cutPaths(network)).sort(), border.sort())
    network.partition([[4], [5]])
    network.unite()
    assert.equal((await cutPaths(network)).length, border.length)
    network.heal()
    assert.deepEqual(await cutPaths(network), [])
    assert.equal(network.faults.lost, lost)
    assert.equal(network.faults.duplicated, 0)
  })

  it('delivers nothing to a member that is gone, nor what was sent to its earlier life', async () => {
    const network = networkOf({ delayMinMs: 10, delayMeanMs: 10 })
    network.send(1, 2, 'to the first life')
    network.send(2, 3, 'from the first life')
    network.detach(2)
    network.send(1, 2, 'to nobody')
    network.send(2, 3, 'from nobody')
    await time.run(5)
    attach(network, 2)
    network.send(1, 2, 'to the second life')
    await time.run(100)
    assert.deepEqual(received, ['2>3 from the first life', '1>2 to the second life'])
    assert.equal(network.faults.detached, 3)
    assert.throws(() => attach(network, 2), InvariantError)
  })

  it('hands a member at once what it sends to itself, in an event of its own', async () => {
    const network = networkOf({ loss: 1 })
    network.hang(1)
    network.send(1, 1, 'mine')
    assert.deepEqual(received, [])
    await time.run(0)
    assert.deepEqual(received, ['1>1 mine'])
  })

  it('shares no object between members', async () => {
    const seen: { n: number }[] = []
    const parameters = { ...FAULTLESS_NETWORK, duplication: 0.9 }
    const network = new SimulatedNetwork<{ n: number }>(time, seededRandom(1), parameters, {
      copy: ({ n }) => ({ n }),
    })
    network.attach(1, () => {})
    network.attach(2, (_from, message) => {
      seen.push({ ...message })
      message.n = -1
    })
    const message = { n: 7 }
    network.send(1, 2, message)
    message.n = 8
    await time.run(1000)
    assert(network.faults.duplicated > 0)
    for (const { n } of seen) assert.equal(n, 7)
  })

  it('behaves as was drawn', () => {
    const off: Record<string, number> = {}
    let faultless = 0
    const RUNS = 1000
    for (let seed = 0; seed < RUNS; seed++) {
      const drawn = drawNetwork(seededRandom(seed))
      assert.deepEqual(drawNetwork(seededRandom(seed)), drawn)
      assert(drawn.delayMinMs >= 0 && drawn.delayMinMs <= 30 && drawn.delayMeanMs >= 30)
      assert(drawn.delayMeanMs <= 100 && drawn.loss <= 0.3 && drawn.duplication <= 0.5)
      assert(drawn.pathCapacity === 0 || (drawn.pathCapacity >= 2 && drawn.pathCapacity <= 20))
      assert(drawn.clog <= 0.02 && drawn.clogMeanMs <= 5000 && drawn.partitionsPerSecond <= 3)
      const { loss, duplication, pathCapacity, clog, partitionsPerSecond, hangsPerSecond } = drawn
      const classes = { loss, duplication, pathCapacity, clog, partitionsPerSecond, hangsPerSecond }
      for (const [name, value] of Object.entries(classes)) {
        if (value === 0) off[name] = (off[name] ?? 0) + 1
      }
      if (Object.values(classes).every((value) => value === 0)) faultless += 1
    }
    assert.equal(Object.keys(off).length, 6)
    for (const count of Object.values(off)) assert(count > 350 && count < 530, JSON.stringify(off))
    assert(faultless > 150 && faultless < 260, `${faultless} runs without faults`)
  })
})
