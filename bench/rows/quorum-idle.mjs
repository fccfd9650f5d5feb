import { setTimeout as delay } from 'node:timers/promises'
import { TidemarkTrio } from '../trios/tidemark.mjs'
import { OURS } from '../verdict.mjs'

// Three processes on one machine that keep many logs which nobody writes to.

const REST_MS = 2_000

/** How many logs, and for how long they are looked at. */
function sizeOf({ full }) {
  return full ? { count: 1_000, watchMs: 20_000 } : { count: 100, watchMs: 5_000 }
}

function usages(trio) {
  return Promise.all(trio.members.map((member) => member.ask('usage')))
}

async function settle(trio, count) {
  for (;;) {
    const all = await Promise.all(trio.members.map((member) => member.ask('settled', { count })))
    if (all.every(Boolean)) return
    await delay(20)
  }
}

/** Makes the logs, by way of one member. Resolves with the ms until all members have them, each with a leader. */
async function make(trio, count) {
  await trio.open('bench')
  const begun = performance.now()
  await trio.members[0].ask('openMany', { count })
  await settle(trio, count)
  return performance.now() - begun
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length

/** Percent of one processor, of each member on average. */
async function idleLoad(trio, watchMs) {
  const busy = ({ user, system }) => (user + system) / 1000
  const before = await usages(trio)
  const begun = performance.now()
  await delay(watchMs)
  const after = await usages(trio)
  const ms = performance.now() - begun
  return mean(after.map((usage, i) => ((busy(usage) - busy(before[i])) / ms) * 100))
}

function rowOf(title, unit, measure) {
  return {
    title,
    unit,
    note: 'three processes on one machine; 1,000 logs with --full, 100 without. One run; each member on average.',
    needsNoWarmup: true,
    isMeasuredOnce: true,
    contestants: [
      {
        name: OURS,
        async prepare(folder, context) {
          const trio = await TidemarkTrio.start(folder)
          return { measure: () => measure(trio, sizeOf(context)), close: () => trio.close() }
        },
      },
    ],
    bars: [],
  }
}

export const rows = {
  'quorum-idle-load': rowOf('quorum, many idle logs: load', '% of a core', async (trio, size) => {
    await make(trio, size.count)
    await delay(REST_MS)
    return idleLoad(trio, size.watchMs)
  }),
  'quorum-idle-memory': rowOf('quorum, many idle logs: RSS', 'MiB', async (trio, size) => {
    await make(trio, size.count)
    await delay(REST_MS)
    return mean((await usages(trio)).map(({ bytes }) => bytes / 2 ** 20))
  }),
  'quorum-make': rowOf('quorum, to make a log', 'ms', async (trio, { count }) => {
    return (await make(trio, count)) / count
  }),
}
