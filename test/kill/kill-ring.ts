// node build/test/kill/kill-ring.js --rounds=100 --seed=1 [--min=100 --max=1000] [--log=folder] [--kv]
// node build/test/kill/kill-ring.js --quorum [--minutes=5 | --seconds=N] --seed=1 [--json] [--bug=receipts]
// node build/test/kill/kill-ring.js --machines [--json]
// node build/test/kill/kill-ring.js --kafka [--minutes=5 | --seconds=N] --seed=1 [--json]
// node build/test/kill/kill-ring.js --mirror [--entries=1000000] [--rounds=10] --seed=1 [--json]
// Prints a line a round, and ends with 1 at the first promise that is broken; then the log is kept.
// --quorum: three members in three processes, of which one after the other is killed and started again; in the end all that clients
// were told is judged. With --bug=receipts an append that is asked for again is not recognized, and the ring must end with 1.
// --machines: a hundred state machines on three members, which are stopped and started again in turn.
// --mirror: a folder that is mirrored to Apache Kafka, and that back, by mirrors of which so many are killed each way.
// --kafka: three brokers of Apache Kafka, of which one after the other is killed and started again, or made to hold still.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ringOfKafka, ringOfMirrors } from './kafka/main.js'
import { ringOfMachines, ringOfQuorum } from './quorum/main.js'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
    min: { type: 'string', default: '100' },
    max: { type: 'string', default: '1000' },
    log: { type: 'string' },
    kv: { type: 'boolean', default: false },
    quorum: { type: 'boolean', default: false },
    machines: { type: 'boolean', default: false },
    kafka: { type: 'boolean', default: false },
    mirror: { type: 'boolean', default: false },
    entries: { type: 'string', default: '1000000' },
    minutes: { type: 'string', default: '5' },
    seconds: { type: 'string' },
    bug: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})

const rounds = Number(values.rounds ?? 100)
const mirrorKills = Number(values.rounds ?? 10)
const seed = Number(values.seed)
const folder = values.log ?? mkdtempSync(join(tmpdir(), 'tidemark-ring-'))
const startedAt = performance.now()
const ms = 1000 * Number(values.seconds ?? 60 * Number(values.minutes))
const ofCluster = values.quorum || values.machines || values.kafka || values.mirror
if (!values.json) {
  console.log(`${ofCluster ? '' : `${rounds} kills, `}seed ${seed}, log ${folder}`)
}
const lifeMs = { min: Number(values.min), max: Number(values.max) }

function secondsSinceStart(): number {
  return Math.round((performance.now() - startedAt) / 1000)
}

// The two that go through the command line need node:test, which prints a report of its own.
async function ringOfLog(): Promise<void> {
  const { killRing } = await import('./ring.js')
  const done = await killRing({
    log: join(folder, 'log'),
    rounds,
    seed,
    lifeMs,
    onRound: (round) => {
      const { number, mode, lifeMs, sent, acknowledged, extra, tornBytes, entries } = round
      console.log(
        `${number}: ${mode}, killed after ${lifeMs} ms, ${sent} sent, ${acknowledged} acknowledged, ${extra} kept besides, ${tornBytes} torn bytes; ${entries} entries, all as they were sent`,
      )
    },
  })
  const sum = (of: (round: (typeof done)[number]) => number) =>
    done.reduce((total, round) => total + of(round), 0)
  console.log(
    `${done.length} kills in ${secondsSinceStart()} s: ${sum((one) => one.acknowledged)} lines acknowledged, 0 lost, 0 twice, 0 invented; ${sum((one) => one.extra)} kept besides, ${done.filter((one) => one.tornBytes > 0).length} torn ends`,
  )
}

async function ringOfMap(): Promise<void> {
  const { kvRing } = await import('./kv-ring.js')
  const done = await kvRing({
    folder: join(folder, 'map'),
    rounds,
    seed,
    lifeMs,
    onRound: ({ number, mode, lifeMs, acknowledged, extra, keys, snapshot }) => {
      const taken = snapshot === undefined ? '' : `; a snapshot at offset ${snapshot}`
      console.log(
        `${number}: ${mode}, killed after ${lifeMs} ms, ${acknowledged} acknowledged, ${extra} kept besides; ${keys} keys, all with the value that they must have${taken}`,
      )
    },
  })
  const sum = (of: (round: (typeof done)[number]) => number) =>
    done.reduce((total, round) => total + of(round), 0)
  console.log(
    `${done.length} kills in ${secondsSinceStart()} s: ${sum((one) => one.acknowledged)} keys acknowledged, 0 lost, 0 with another value; ${sum((one) => one.extra)} kept besides`,
  )
}

try {
  if (ofCluster) {
    const { bug, json } = values
    const ring = values.kafka ? ringOfKafka : values.quorum ? ringOfQuorum : ringOfMachines
    if (values.mirror) {
      await ringOfMirrors({ entries: Number(values.entries), kills: mirrorKills, seed, json })
    } else if (!(await ring({ folder, seed, ms, bug, json })))
      throw new Error('a promise was broken')
  } else {
    await (values.kv ? ringOfMap() : ringOfLog())
  }
  if (values.log === undefined) rmSync(folder, { recursive: true, force: true })
} catch (error) {
  console.error(error)
  console.error(`the log is kept in ${folder}; the seed was ${seed}`)
  process.exitCode = 1
}
