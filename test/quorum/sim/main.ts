// `npm run sim -- --seed=N --seeds=N`: simulated clusters, each from a seed of its own, on all processors.
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { CORPUS } from './corpus.ts'
import { huntPlantedBugs } from './planted-bugs.ts'
import { commandOf, runSeed, type SeedResult, shrink, traceSeed } from './run-seed.ts'
import { FAULTS, type Fault } from './settings.ts'
import { Totals } from './totals.ts'

const HELP = `npm run sim -- [--seed=N] [--seeds=N] [--list=N,N] [--seconds=N] [--without=kill,rot,...] [--walk] [--trace] [--corpus] [--bugs]

  --seed=N       the first seed; a random one by default
  --seeds=N      how many seeds, one after the other (200)
  --list=N,N     these seeds instead
  --seconds=N    stop after so many seconds
  --without=...  leave kinds of faults out: ${FAULTS.join(', ')}
  --walk         short runs in which the members walk from three to five, and back to another three
  --trace        print every step of the one seed
  --corpus       first run every seed that ever failed
  --bugs         plant known bugs, one at a time, and find each
  --bug=WORDS    only those with these words in their names
  --part=K/N     only the K-th of N parts of them
  --days=N       simulate days of one log instead

for example: npm run sim -- --seed=1 --seeds=1000 --seconds=600
`

function numberOf(name: string, text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value
  process.stderr.write(`sim: --${name} takes a whole number, not ${text}\n`)
  process.exit(2)
}

function partOf(text: string): [number, number] {
  const [part, of] = text.split('/').map((each) => numberOf('part', each))
  if (part && of && part <= of) return [part, of]
  process.stderr.write(`sim: --part takes K/N, as 1/3, not ${text}\n`)
  process.exit(2)
}

function faultsOf(text: string): Fault[] {
  const names = text.split(',').filter((name) => name !== '')
  for (const name of names) {
    if ((FAULTS as readonly string[]).includes(name)) continue
    process.stderr.write(`sim: --without does not know ${name}; it knows ${FAULTS.join(', ')}\n`)
    process.exit(2)
  }
  return names as Fault[]
}

/** Runs seeds in processes of their own. Each asks for the next when it is done. */
async function runSeeds(
  seeds: readonly number[],
  without: readonly Fault[],
  seconds: number,
  isWalk: boolean,
): Promise<{ totals: Totals; failed: [number, SeedResult] | undefined }> {
  const totals = new Totals()
  const stopAt = performance.now() + seconds * 1000
  let next = 0
  let failed: [number, SeedResult] | undefined
  const take = () => (failed || performance.now() > stopAt ? undefined : seeds[next++])
  const worker = () =>
    new Promise<void>((resolve, reject) => {
      const child = fork(fileURLToPath(import.meta.url), ['--worker'])
      let running: number | undefined
      const give = () => {
        running = take()
        if (running === undefined) child.disconnect()
        else child.send({ seed: running, without, isWalk })
      }
      child.on('message', (result: SeedResult) => {
        totals.add(result.report)
        if (result.fault !== undefined) failed ??= [running!, result]
        if (process.stderr.isTTY) process.stderr.write(`\r${totals.runs} seeds `)
        give()
      })
      child.on('exit', (code) => {
        if (running === undefined) resolve()
        else
          reject(
            new Error(
              `the process of seed ${running} ended with ${code}: ${commandOf(running, without, isWalk)}`,
            ),
          )
      })
      give()
    })
  const workers = Math.min(availableParallelism(), seeds.length)
  await Promise.all(Array.from({ length: workers }, worker))
  if (process.stderr.isTTY) process.stderr.write('\r')
  return { totals, failed }
}

function work(): void {
  process.on(
    'message',
    ({ seed, without, isWalk }: { seed: number; without: Fault[]; isWalk: boolean }) => {
      void runSeed(seed, without, isWalk).then((result) => process.send!(result))
    },
  )
}

async function reportFailure(
  [seed, result]: [number, SeedResult],
  without: Fault[],
  isWalk: boolean,
  isShrunk: boolean,
): Promise<void> {
  process.stdout.write(
    `\nFAULT seed ${seed}: ${result.fault}\n  again: ${commandOf(seed, without, isWalk)}\n`,
  )
  if (!isShrunk) return
  const least = await shrink(seed, result, without, isWalk)
  if (least.without.length > without.length) {
    process.stdout.write(
      `  with less: ${commandOf(seed, least.without, isWalk)}\n${least.result.fault}\n`,
    )
  }
}

function options() {
  try {
    return parseArgs({
      options: {
        seed: { type: 'string' },
        seeds: { type: 'string', default: '200' },
        list: { type: 'string', default: '' },
        seconds: { type: 'string', default: '86400' },
        without: { type: 'string', default: '' },
        walk: { type: 'boolean', default: false },
        trace: { type: 'boolean', default: false },
        corpus: { type: 'boolean', default: false },
        bugs: { type: 'boolean', default: false },
        part: { type: 'string', default: '1/1' },
        bug: { type: 'string', default: '' },
        first: { type: 'boolean', default: false },
        worker: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    process.stderr.write(`sim: ${(error as Error).message}\n`)
    process.exit(2)
  }
}

async function main(): Promise<void> {
  const values = options()
  if (values.worker) return work()
  if (values.help) return void process.stdout.write(HELP)
  const seed = numberOf('seed', values.seed ?? String(Math.floor(Math.random() * 1e9)))
  const count = numberOf('seeds', values.seeds)
  const seconds = numberOf('seconds', values.seconds)
  const without = faultsOf(values.without)
  const { walk } = values
  if (values.bugs || values.bug) {
    process.exitCode = (await huntPlantedBugs(seed, values.bug, partOf(values.part))) ? 0 : 1
    return
  }
  if (values.trace) {
    process.stdout.write(`${(await traceSeed(seed, without, walk)).join('\n')}\n`)
    return
  }
  const fresh = values.list
    ? values.list.split(',').map((text) => numberOf('list', text))
    : Array.from({ length: count }, (_, i) => seed + i)
  const seeds = values.corpus ? [...CORPUS, ...fresh] : fresh
  process.stdout.write(
    `simulated clusters: ${seeds.length} seeds at most, from ${seeds[0] ?? seed}\n`,
  )
  const started = performance.now()
  const { totals, failed } = await runSeeds(seeds, without, seconds, walk)
  process.stdout.write(`${totals.describe((performance.now() - started) / 1000)}\n`)
  if (totals.runs === 0) process.exitCode = 1
  if (failed) {
    process.exitCode = 1
    await reportFailure(failed, without, walk, !values.first)
  }
}

await main()
