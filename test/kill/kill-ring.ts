// node build/test/kill/kill-ring.js --rounds=100 --seed=1 [--min=100 --max=1000] [--log=folder]
// Prints a line a round, and ends with 1 at the first promise that is broken; then the log is kept.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { killRing } from './ring.js'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
    min: { type: 'string', default: '100' },
    max: { type: 'string', default: '1000' },
    log: { type: 'string' },
  },
})

const rounds = Number(values.rounds)
const seed = Number(values.seed)
const folder = values.log ?? mkdtempSync(join(tmpdir(), 'tidemark-ring-'))
const startedAt = performance.now()
console.log(`${rounds} kills, seed ${seed}, log ${folder}`)
try {
  const done = await killRing({
    log: join(folder, 'log'),
    rounds,
    seed,
    lifeMs: { min: Number(values.min), max: Number(values.max) },
    onRound: (round) => {
      const { number, mode, lifeMs, sent, acknowledged, extra, tornBytes, entries } = round
      console.log(
        `${number}: ${mode}, killed after ${lifeMs} ms, ${sent} sent, ${acknowledged} acknowledged, ${extra} kept besides, ${tornBytes} torn bytes; ${entries} entries, all as they were sent`,
      )
    },
  })
  const sum = (of: (round: (typeof done)[number]) => number) =>
    done.reduce((total, round) => total + of(round), 0)
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  console.log(
    `${done.length} kills in ${seconds} s: ${sum((one) => one.acknowledged)} lines acknowledged, 0 lost, 0 twice, 0 invented; ${sum((one) => one.extra)} kept besides, ${done.filter((one) => one.tornBytes > 0).length} torn ends`,
  )
  if (values.log === undefined) rmSync(folder, { recursive: true, force: true })
} catch (error) {
  console.error(error)
  console.error(`the log is kept in ${folder}; the seed was ${seed}`)
  process.exitCode = 1
}
