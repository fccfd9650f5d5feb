// `npm run sim -- --days=N --seed=N --hours=N`: whole days of a log, on a clock that is told to move.
import { parseArgs } from 'node:util'
import { Day, type DayReport } from './day.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    days: { type: 'string', default: '6' },
    hours: { type: 'string', default: '24' },
  },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9))
const days = Number(values.days)
const hours = Number(values.hours)
if (![seed, days, hours].every((n) => Number.isSafeInteger(n) && n >= 0)) {
  process.stderr.write('sim: --seed, --days and --hours take whole numbers\n')
  process.exit(2)
}

function lineOf(r: DayReport): string {
  return [
    `${r.hours} h, sync ${r.sync}, trim ${r.trim}: ${r.entries} entries acknowledged`,
    `${r.rolls} segments ended, ${r.trims} trims forgot ${r.forgotten}`,
    `${r.commits} commits, ${r.missed} missed by retention`,
    `${r.backups} backups, ${r.seeks} seeks by time, ${r.jumps} clock jumps`,
    `${r.kills} kills, ${r.powerLosses} power losses took ${r.lost} that the policy gives up`,
    `${r.checked} read again and compared; trace ${r.trace}`,
  ].join('; ')
}

process.stdout.write(`simulated days of ${hours} h, from seed ${seed}\n`)
for (let i = 0; i < days; i++) {
  const day = new Day({
    seed: seed + i,
    hours,
    onHour: ({ hours: hour }) => {
      if (process.stderr.isTTY) process.stderr.write(`\rseed ${seed + i}: hour ${hour} `)
    },
  })
  try {
    process.stdout.write(`seed ${seed + i}: ${lineOf(await day.run())}\n`)
  } catch (error) {
    const what = error instanceof Error ? error.stack : String(error)
    process.stdout.write(`\nFAULT seed ${seed + i}, hour ${day.report.hours + 1}: ${what}\n`)
    process.stdout.write(
      `  again: npm run sim -- --seed=${seed + i} --days=1 --hours=${day.report.hours + 1}\n`,
    )
    process.exitCode = 1
    break
  }
}
