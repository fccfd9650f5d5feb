import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from '#dist/io/index.js'
import {
  type Cut,
  Draws,
  drawCut,
  FAULTLESS_NETWORK,
  networkStorm,
  PARTITION_SHAPES,
  type PartitionShape,
  SimulatedNetwork,
  SimulatedTime,
} from '#dist/simulation/index.js'

const IDS = [1, 2, 3, 4, 5]

const STORMY = {
  ...FAULTLESS_NETWORK,
  partitionAsymmetry: 0.5,
  partitionsPerSecond: 2,
  partitionMinMs: 100,
  partitionMeanMs: 400,
  partitionGapMs: 100,
  hangsPerSecond: 0.5,
  hangMeanMs: 500,
}

function cutsOf(cut: Cut, ids = IDS): string[] {
  return ids.flatMap((from) => ids.filter((to) => cut(from, to)).map((to) => `${from}>${to}`))
}

function reversed(path: string): string {
  return path.split('>').reverse().join('>')
}

describe('drawCut', () => {
  const draws = new Draws(seededRandom(3))
  const numbers: Record<PartitionShape, readonly number[]> = {
    sizes: [8, 12],
    halves: [8, 12],
    isolated: [8],
    stranded: [6],
    ring: [10],
  }

  for (const shape of PARTITION_SHAPES) {
    it(`cuts in the shape "${shape}"`, () => {
      const seen = new Set<number>()
      const kinds = new Set<string>()
      for (let i = 0; i < 300; i++) {
        const paths = cutsOf(drawCut(draws, IDS, shape, true))
        assert(paths.every((path) => paths.includes(reversed(path))))
        seen.add(paths.length)
        kinds.add(paths.join())
      }
      assert.deepEqual(
        [...seen].sort((a, b) => a - b),
        numbers[shape],
      )
      assert(kinds.size >= 5, `only ${kinds.size} different ones`)
    })
  }

  it('cuts one direction where it is asymmetric, and either is as likely', () => {
    const kinds = new Set<string>()
    for (let i = 0; i < 100; i++) {
      const paths = cutsOf(drawCut(draws, [1, 2], 'halves', false), [1, 2])
      assert.equal(paths.length, 1)
      kinds.add(paths.join())
    }
    assert.equal(kinds.size, 2)
  })

  it('leaves alone who is no member', () => {
    for (const shape of PARTITION_SHAPES) {
      const cut = drawCut(draws, IDS, shape, true)
      for (const id of IDS) assert(!cut(id, 99) && !cut(99, id))
    }
    assert.throws(() => drawCut(draws, [1], 'sizes', true), { code: 'INVALID_ARGUMENT' })
  })
})

describe('networkStorm', () => {
  /** Runs a storm for a minute in which each sends to each every 10 ms. */
  async function storm(seed: number, parameters = STORMY) {
    const time = new SimulatedTime()
    const random = new Draws(seededRandom(seed))
    const network = new SimulatedNetwork<number>(time, random.fork(), parameters)
    const trace: string[] = []
    for (const id of IDS) {
      network.attach(id, (from, message) => trace.push(`${time.now} ${from}>${id} ${message}`))
    }
    const cancel = networkStorm(time, random.fork(), network, IDS)
    const chatter = (round: number) => (): void => {
      for (const from of IDS) for (const to of IDS) if (from !== to) network.send(from, to, round)
      if (round < 3000) time.schedule(10, chatter(round + 1))
    }
    chatter(0)()
    await time.run(31_000)
    return { time, network, trace, cancel }
  }

  it('makes partitions and hangs come and go', async () => {
    const { network } = await storm(1)
    const { partitions, hangs, blocked, swallowed } = network.faults
    assert(partitions > 10 && partitions < 50, `${partitions} partitions`)
    assert(hangs > 4 && hangs < 30, `${hangs} hangs`)
    assert(blocked > 1000 && blocked < 50_000, `${blocked} blocked`)
    assert(swallowed > 500, `${swallowed} swallowed`)
  })

  it('repeats itself for the same seed, and for no other', async () => {
    const first = await storm(1)
    const again = await storm(1)
    const other = await storm(2)
    assert.deepEqual(again.trace, first.trace)
    assert.deepEqual(again.network.faults, first.network.faults)
    assert.notDeepEqual(other.trace, first.trace)
  })

  it('ends when it is cancelled, and when the network is calmed', async () => {
    const cancelled = await storm(1)
    cancelled.cancel()
    assert.equal(cancelled.time.pending, 0)
    const calmed = await storm(1)
    calmed.network.healAmong(IDS)
    const { partitions, hangs } = calmed.network.faults
    await calmed.time.run(100_000)
    assert.equal(calmed.time.pending, 0)
    assert.deepEqual(
      [calmed.network.faults.partitions, calmed.network.faults.hangs],
      [partitions, hangs],
    )
  })

  it('leaves alone what is switched off', async () => {
    const { time, network } = await storm(1, FAULTLESS_NETWORK)
    assert.equal(time.pending, 0)
    assert.equal(network.delivered, 3001 * 20)
    assert(Object.values(network.faults).every((count) => count === 0))
  })
})
