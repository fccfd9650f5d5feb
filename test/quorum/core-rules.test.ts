// The rules of Raft, checked after every step of small clusters to which anything happens: messages come
// late, twice, in another order or not at all, disks are slow, replicas crash in the midst of a piece of
// work and find damage, members change. A failure names its seed: `TIDEMARK_SEED=N npm test -- core-rules`.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from 'tidemark/testing'
import { RandomCluster, type Troubles } from './random-cluster.ts'
import { RuleBook } from './rule-book.ts'

const SEEDS = Number(process.env.TIDEMARK_RULE_SEEDS ?? 40)
const FIRST = Number(process.env.TIDEMARK_SEED ?? 1)
const EVENTS = 3000
const ROUNDS = 1500

const NONE: Troubles = {
  loss: 0,
  duplication: 0,
  crashes: 0,
  slowDisks: 0,
  damage: 0,
  changes: 0,
}

const WEATHER: Readonly<Record<string, Troubles>> = {
  'in fair weather': NONE,
  'where messages are lost and doubled': { ...NONE, loss: 100, duplication: 150 },
  'where disks are slow': { ...NONE, slowDisks: 800, duplication: 50, loss: 50 },
  'where replicas crash': { ...NONE, crashes: 10, slowDisks: 500, loss: 50 },
  'where members change': { ...NONE, changes: 20, loss: 50, crashes: 5, slowDisks: 300 },
  'where disks are damaged': { ...NONE, crashes: 10, damage: 500, loss: 50, slowDisks: 300 },
  'in all of it': {
    loss: 80,
    duplication: 80,
    crashes: 10,
    slowDisks: 500,
    damage: 300,
    changes: 10,
  },
}

function run(seed: number, troubles: Troubles): RuleBook {
  const random = seededRandom(seed)
  const rules = new RuleBook()
  const size = troubles.changes > 0 ? 5 : 3
  const cluster = new RandomCluster(size, random, rules, troubles)
  for (let i = 0; i < EVENTS; i++) cluster.happen()
  const isSettled = () => {
    const leader = cluster.replicas.find(({ core }) => core?.status.isReady)?.core?.status
    const voters = leader?.members.voters ?? []
    return (
      voters.length > 0 &&
      voters.every((id) => {
        const status = cluster.replicas[id - 1].core!.status
        return status.last.mark === leader!.last.mark && status.committed === leader!.last.mark
      })
    )
  }
  // Where every quorum needs the one that lost its end, and it alone knew how far it reached, nobody may lead.
  const isStuck = () =>
    size > 3 && cluster.replicas.some(({ core }) => core!.status.promised !== undefined)
  assert.ok(cluster.heal(ROUNDS, isSettled) || isStuck(), 'all is well in the end')
  return rules
}

describe('the rules of the core', () => {
  for (const [weather, troubles] of Object.entries(WEATHER)) {
    it(weather, () => {
      let done = 0
      let reads = 0
      for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
        try {
          const { doneCount, readCount } = run(seed, troubles)
          done += doneCount
          reads += readCount
        } catch (cause) {
          throw new Error(`seed ${seed}: ${cause instanceof Error ? cause.message : cause}`, {
            cause,
          })
        }
      }
      assert.ok(
        done > SEEDS && reads > SEEDS / 2,
        `${done} appends and ${reads} reads were answered`,
      )
    })
  }
})
