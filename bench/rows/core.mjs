import assert from 'node:assert/strict'
import { CoreReplicas } from '../core-replicas.mjs'
import { OURS } from '../verdict.mjs'

// The consensus alone: three replicas of the core in one process, no disk and no network.

const entries = ({ quick }) => (quick ? 25_600 : 102_400)

/** Proposes as many entries as asked for, `inFlight` before each run of the replicas. */
function propose(replicas, count, inFlight) {
  const before = replicas.done
  for (let i = 0; i < count; i += inFlight) {
    for (let j = 0; j < inFlight; j++) replicas.propose(i + j)
    replicas.run()
  }
  assert.equal(replicas.done - before, count)
}

/** A row of replicas with `inFlight` proposals at a time; `figure` makes it of what was measured. */
function coreRow({ title, unit, inFlight, timed = false, figure, note }) {
  const contestant = {
    name: OURS,
    prepare(_folder, context) {
      const replicas = new CoreReplicas()
      const count = entries(context)
      return {
        measure() {
          const { steps } = replicas
          replicas.time(timed)
          const begun = performance.now()
          propose(replicas, count, inFlight)
          const ms = performance.now() - begun
          const spent = replicas.time(false)
          return figure({ ms, count, steps: replicas.steps - steps, spent, replicas })
        },
      }
    },
  }
  return { title, unit, note, contestants: [contestant], bars: [] }
}

const entriesPerSecond = ({ ms, count }) => (count * 1000) / ms
const stepsPerSecond = ({ ms, steps }) => (steps * 1000) / ms
const nanosPerEntry = ({ ms, count }) => (ms * 1e6) / count
const leaderNanos = ({ spent, count, replicas }) => (spent[replicas.leader] * 1e6) / count
const followerNanos = ({ spent, count, replicas }) => {
  const all = spent.reduce((sum, each) => sum + each, 0)
  return ((all - spent[replicas.leader]) * 1e6) / 2 / count
}

const WORDS = { 1: 'one proposal at a time', 256: '256 proposals in flight' }
const SHARE = 'timed step by step, which adds some 50 ns to each'

function rowsFor(inFlight) {
  const of = (what, unit, figure, more) =>
    coreRow({ title: `core, ${WORDS[inFlight]}: ${what}`, unit, inFlight, figure, ...more })
  const shares = { timed: true, note: SHARE }
  return {
    [`core-${inFlight}-steps`]: of('steps of all three replicas', '/s', stepsPerSecond),
    [`core-${inFlight}-entries`]: of('entries', '/s', entriesPerSecond),
    [`core-${inFlight}-cost`]: of('an entry', 'ns', nanosPerEntry),
    [`core-${inFlight}-leader`]: of("an entry, the leader's share", 'ns', leaderNanos, shares),
    [`core-${inFlight}-follower`]: of("an entry, a follower's share", 'ns', followerNanos, shares),
  }
}

export const rows = { ...rowsFor(1), ...rowsFor(256) }
