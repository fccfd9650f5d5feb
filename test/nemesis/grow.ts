// From three members to five, and back to another three: all that the first three had is on others then.
import { setTimeout as delay } from 'node:timers/promises'
import { Draws, seededRandom } from '#dist/testing/index.js'
import { addMember, removeMember } from './churn.ts'
import type { Cluster } from './cluster.ts'
import { acknowledgedMore, type Scenario, type Stage } from './scenario.ts'

const KILL_EVERY_MS = { min: 1000, max: 3000 }
const DOWN_MS = { min: 0, max: 600 }
/** Each step takes place under load, however short it is. */
const APPENDS_PER_STEP = 100

const STEPS = [
  { what: 'add', id: 4 },
  { what: 'add', id: 5 },
  { what: 'remove', id: 1 },
  { what: 'remove', id: 2 },
  { what: 'add', id: 6 },
  { what: 'remove', id: 3 },
] as const

/** One member after the other, now and then, whoever it is, until it is over. Resolves with how many. */
async function killNowAndThen(
  cluster: Cluster,
  draws: Draws,
  isOver: () => boolean,
): Promise<number> {
  for (let kills = 0; ; kills++) {
    const end = performance.now() + draws.integer(KILL_EVERY_MS.min, KILL_EVERY_MS.max)
    while (performance.now() < end && !isOver()) await delay(20)
    if (isOver()) return kills
    const id = draws.pick(cluster.ids)
    await cluster.kill(id)
    await delay(draws.integer(DOWN_MS.min, DOWN_MS.max))
    // It may have been removed meanwhile.
    if (cluster.ids.includes(id)) await cluster.revive(id)
  }
}

async function grow({ cluster, workload, draws, say }: Stage): Promise<string[]> {
  const faults: string[] = []
  workload.asksAgain = true
  let lastAt = performance.now()
  let gapMs = 0
  let longestMs = 0
  workload.onAcknowledged = () => {
    const now = performance.now()
    gapMs = Math.max(gapMs, now - lastAt)
    lastAt = now
  }
  let isOver = false
  const killing = killNowAndThen(cluster, new Draws(seededRandom(draws.uint32())), () => isOver)
  try {
    for (const { what, id } of STEPS) {
      const beginning = performance.now()
      gapMs = 0
      const isDone =
        what === 'add' ? (await addMember(cluster)) === id : await removeMember(cluster, id)
      const ms = performance.now() - beginning
      if (!isDone) faults.push(`to ${what} ${id} was not done in ${ms.toFixed(0)} ms`)
      await acknowledgedMore(workload, APPENDS_PER_STEP)
      longestMs = Math.max(longestMs, gapMs)
      const now = `${what} ${id}: ${ms.toFixed(0)} ms, members ${cluster.ids.join(', ')}`
      say(`${now}; the longest gap between acknowledgements ${gapMs.toFixed(0)} ms`)
    }
  } finally {
    isOver = true
  }
  const kills = await killing
  const { acknowledged, refused, unknown } = workload
  say(`${kills} kills; the longest gap of all ${longestMs.toFixed(0)} ms`)
  say(
    `appends: ${acknowledged} acknowledged, ${refused} refused and asked again, ${unknown} unknown`,
  )
  const left = [...cluster.ids].sort((a, b) => a - b).join()
  if (left !== '4,5,6') faults.push(`the members are ${left}`)
  return faults
}

export const GROW: Scenario = {
  name: 'grow',
  text: 'from three members to five and back to another three, while members are killed',
  members: 3,
  replicas: 5,
  play: grow,
}
