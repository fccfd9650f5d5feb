// `npm run crash -- --seed=N --states=N --seconds=N`: distinct crash images, and the planted bugs.
import { parseArgs } from 'node:util'
import { findCursorBugs, runCursorRing } from './cursor-ring.ts'
import { loadLibrary, realBuild } from './library.ts'
import { findMachineBugs, runMachineRing } from './machine-ring.ts'
import { findPlantedBugs } from './planted-bugs.ts'
import { type RingResult, runRing } from './ring.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    states: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '600' },
    'no-bugs': { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9))
const states = Number(values.states)
const seconds = Number(values.seconds)
if (![seed, states, seconds].every((n) => Number.isSafeInteger(n) && n >= 0)) {
  process.stderr.write('crash: --seed, --states and --seconds take whole numbers\n')
  process.exit(2)
}

function printCounts(title: string, counts: ReadonlyMap<string, number>): void {
  process.stdout.write(`\n${title}\n`)
  for (const [name, count] of [...counts].sort((a, b) => b[1] - a[1])) {
    process.stdout.write(`  ${String(count).padStart(8)}  ${name}\n`)
  }
}

process.stdout.write(`crash ring: seed ${seed}, ${states} distinct images or ${seconds} s\n`)
const begun = performance.now()
let told = begun
const report = (result: RingResult) => {
  if (!process.stderr.isTTY || performance.now() - told < 1000) return
  told = performance.now()
  process.stderr.write(`\r${result.distinct} distinct images, ${result.faults.length} faults `)
}
const library = await loadLibrary(realBuild)
const result = await runRing(library, { seed, states, seconds, onProgress: report })
const took = ((performance.now() - begun) / 1000).toFixed(1)
process.stdout.write(
  `${result.distinct} distinct images (${result.checked} checks, ${result.workloads} workloads) in ${took} s: ${result.faults.length} faults\n`,
)
printCounts('images by what the crash took', result.kinds)
printCounts('what the workloads did', result.events)
for (const fault of result.faults.slice(0, 5)) {
  process.stdout.write(
    `\nFAULT seed ${fault.seed}, ${fault.kind}, before ${fault.operation}\n${fault.message}\n  again: npm run crash -- --seed=${fault.seed} --states=1 --no-bugs\n`,
  )
}
// A tenth of the images is of logs with cursors.
const cursors = await runCursorRing(library, { seed, states: states / 10, seconds: seconds / 10 })
process.stdout.write(
  `\ncursors: ${cursors.distinct} distinct images (${cursors.checked} checks): ${cursors.fault ? 1 : 0} faults\n`,
)
if (cursors.fault) process.stdout.write(`\nFAULT ${cursors.fault}\n`)
// And another tenth of durable maps.
const machines = await runMachineRing(library, { seed, states: states / 10, seconds: seconds / 10 })
process.stdout.write(
  `\nmachines: ${machines.distinct} distinct images (${machines.checked} checks): ${machines.fault ? 1 : 0} faults\n`,
)
if (machines.fault) process.stdout.write(`\nFAULT ${machines.fault}\n`)
let missed = 0
if (!values['no-bugs']) {
  process.stdout.write('\nplanted bugs: the same ring against builds that were broken on purpose\n')
  const print = (line: string) => process.stdout.write(`  ${line}\n`)
  missed = (await findPlantedBugs(seed, print)) + (await findCursorBugs(seed, print))
  missed += await findMachineBugs(seed, print)
}
const isFaulty = result.faults.length > 0 || (cursors.fault ?? machines.fault) !== undefined
process.exitCode = isFaulty || missed > 0 ? 1 : 0
