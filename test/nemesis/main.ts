// npm run nemesis -- --help says how. Real members, each in a process of its own, under faults of all kinds, and judges
// of what clients were told. Ends with 1 if a promise is broken; then all folders are kept. With --bug the members are
// built with that bug in them, and it must end with 1.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BUILD, plant } from '../kill/quorum/planted-build.ts'
import { BUGS } from './bugs.ts'
import { type FlipsResult, turnBits } from './flips.ts'
import { reportOf } from './flips-report.ts'
import { GROW } from './grow.ts'
import { NATS } from './nats.ts'
import { FAULTS, type NemesisResult, nemesis } from './run.ts'
import { play } from './scenario.ts'
import { type Asked, parse, UsageError } from './usage.ts'

const FAULTS_PRINTED_MAX = 20
const SCENARIOS = [...NATS, GROW]

const asked = parsed()
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new Error('stopped')))
}

function parsed(): Asked {
  try {
    const found = parse(process.argv.slice(2))
    check('fault', found.only ?? [], FAULTS)
    if (found.scenario !== 'all')
      check('scenario', [found.scenario ?? ''].filter(Boolean), SCENARIOS)
    const bugs = Object.keys(BUGS).map((name) => ({ name }))
    check('bug', [found.bug ?? ''].filter(Boolean), bugs)
    return found
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`nemesis: ${error.message}; see npm run nemesis -- --help`)
    process.exit(2)
  }
}

function check(kind: string, names: readonly string[], all: readonly { readonly name: string }[]) {
  const unknown = names.find((name) => !all.some((one) => one.name === name))
  if (unknown === undefined) return
  const there = all.map(({ name }) => name).join(', ')
  throw new UsageError(`there is no ${kind} ${unknown}; there is ${there}`)
}

function list(): void {
  for (const { name, text, offBecause } of FAULTS) {
    console.log(
      `${name.padEnd(10)} ${text}${offBecause ? ` (only with --only: ${offBecause})` : ''}`,
    )
  }
  console.log('scenarios:')
  for (const { name, text } of SCENARIOS) console.log(`${name.padEnd(10)} ${text}`)
  console.log(`bugs: ${Object.keys(BUGS).join(', ')}`)
}

const isLive = process.stdout.isTTY === true && !asked.json

/** Leaves a line that is written over on a terminal, and nothing elsewhere. */
function showProgress(text: string): void {
  if (isLive) process.stdout.write(`\r\x1b[K${text}`)
}

function showLine(text: string): void {
  if (!asked.json) console.log(isLive ? `\r\x1b[K${text}` : text)
}

function counted(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`)
  return parts.join(', ') || 'none'
}

function summaryOf(result: NemesisResult): string {
  const { acknowledged, unknown, refused, reads, followed, commands, commandRetries } = result
  const { struck, failures, codes } = result
  return [
    `${result.seconds} s of ${result.members} members, seed ${result.seed}`,
    `struck: ${counted(struck)}; replicas that failed: ${counted(failures)}`,
    `appends: ${acknowledged} acknowledged, ${unknown} unknown, ${refused} refused`,
    `${reads} linearizable reads, ${followed} entries followed, ${commands} commands (${commandRetries} asked again)`,
    `the longest gap between acknowledgements while a majority was healthy: ${result.longestGapMs.toFixed(0)} ms`,
    `met: ${counted(codes)}`,
    result.faults.length === 0 ? 'all promises kept' : `${result.faults.length} FAULTS`,
  ].join('\n')
}

/** Runs in a folder of its own, with the members as they are to be built. */
async function inFolder<T extends { readonly faults: readonly string[] }>(
  run: (folder: string, build: URL) => Promise<T>,
  report: (result: T) => string,
): Promise<void> {
  const { json, seed, members, bug } = asked
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-nemesis-'))
  showLine(`seed ${seed}, ${members} members, folder ${folder}`)
  let isKept = true
  try {
    const result = await run(folder, bug === undefined ? BUILD : plant(BUGS, bug, folder))
    isKept = result.faults.length > 0
    showLine(json ? '' : report(result))
    if (json) console.log(JSON.stringify(result))
    if (!isKept) return
    for (const fault of result.faults.slice(0, FAULTS_PRINTED_MAX)) console.error(`FAULT: ${fault}`)
    console.error(`again: npm run nemesis -- ${again()}\nkept: ${folder}`)
    process.exitCode = 1
  } catch (error) {
    process.exitCode = stop.signal.aborted ? 130 : 1
    isKept = !stop.signal.aborted
    if (isKept) console.error(error, `\nkept: ${folder}`)
  } finally {
    if (!isKept) rmSync(folder, { recursive: true, force: true })
  }
}

function again(): string {
  const { ms, seed, members, flips, only, bug } = asked
  const words = [
    flips === undefined ? `--seconds=${ms / 1000}` : `--flips=${flips}`,
    `--seed=${seed}`,
    `--members=${members}`,
  ]
  if (only !== undefined) words.push(`--only=${only.join(',')}`)
  if (bug !== undefined) words.push(`--bug=${bug}`)
  return words.join(' ')
}

async function playAll(wanted: string): Promise<void> {
  const { seed, bug } = asked
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-nemesis-'))
  const build = bug === undefined ? BUILD : plant(BUGS, bug, folder)
  try {
    for (const scenario of SCENARIOS) {
      if (wanted !== 'all' && scenario.name !== wanted) continue
      console.log(`${scenario.name}: ${scenario.text}; seed ${seed}`)
      const say = (text: string) => console.log(`  ${text}`)
      const played = await play(scenario, build, seed, say, stop.signal)
      const { faults, acknowledged, ms } = played
      for (const fault of faults.slice(0, FAULTS_PRINTED_MAX)) console.error(`FAULT: ${fault}`)
      const kept = faults.length === 0 ? 'all promises kept' : 'FAULTS'
      console.log(`  ${acknowledged} acknowledged in ${(ms / 1000).toFixed(1)} s: ${kept}`)
      if (faults.length > 0) process.exitCode = 1
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function storm(): Promise<void> {
  const { seed, ms, members, only } = asked
  const run = (folder: string, build: URL): Promise<NemesisResult> => {
    const shown = { onStrike: showLine, onProgress: showProgress }
    return nemesis({ build, folder, seed, ms, members, only, signal: stop.signal, ...shown })
  }
  return inFolder(run, summaryOf)
}

function flipRing(flips: number): Promise<void> {
  const { seed, members } = asked
  const run = (folder: string, build: URL): Promise<FlipsResult> => {
    const { signal } = stop
    return turnBits({ build, folder, seed, members, flips, onRound: showProgress, signal })
  }
  return inFolder(run, reportOf)
}

if (asked.help !== undefined) console.log(asked.help)
else if (asked.list) list()
else {
  if (asked.scenario !== undefined) await playAll(asked.scenario)
  else await (asked.flips === undefined ? storm() : flipRing(asked.flips))
  // Clients of a run that was stopped may wait for members that are gone.
  process.exit()
}
