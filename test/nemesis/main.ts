// node build/test/nemesis/main.js [--minutes=5 | --seconds=N] --seed=N [--members=3|5] [--only=kill,pause] [--bug=NAME] [--json]
// node build/test/nemesis/main.js --scenario=NAME|all [--seed=N] [--bug=NAME]
// node build/test/nemesis/main.js --list
// Real members, each in a process of its own, under faults of all kinds, and judges of what clients were told. Ends with 1 if a
// promise is broken; then all folders are kept. With --bug the members are built with that bug in them, and it must end with 1.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { BUILD, plant } from '../kill/quorum/planted-build.ts'
import { BUGS } from './bugs.ts'
import { SCENARIOS } from './nats.ts'
import { FAULTS, type NemesisResult, nemesis } from './run.ts'
import { play } from './scenario.ts'

const FAULTS_PRINTED_MAX = 20

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seconds: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
    members: { type: 'string', default: '3' },
    only: { type: 'string' },
    bug: { type: 'string' },
    scenario: { type: 'string' },
    list: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})

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

const isLive = process.stdout.isTTY === true && !values.json

/** Leaves a line that is written over on a terminal, and nothing elsewhere. */
function showProgress(text: string): void {
  if (isLive) process.stdout.write(`\r\x1b[K${text}`)
}

function showLine(text: string): void {
  if (!values.json) console.log(isLive ? `\r\x1b[K${text}` : text)
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

async function playAll(wanted: string): Promise<void> {
  const chosen = SCENARIOS.filter(({ name }) => wanted === 'all' || name === wanted)
  if (chosen.length === 0) {
    throw new Error(`there is no scenario ${wanted}; there is ${SCENARIOS.map((one) => one.name)}`)
  }
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort(new Error('stopped')))
  const seed = Number(values.seed)
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-nemesis-'))
  const build = values.bug === undefined ? BUILD : plant(BUGS, values.bug, folder)
  try {
    for (const scenario of chosen) {
      console.log(`${scenario.name}: ${scenario.text}; seed ${seed}`)
      const say = (text: string) => console.log(`  ${text}`)
      const { faults, acknowledged, ms, skipped } = await play(
        scenario,
        build,
        seed,
        say,
        stop.signal,
      )
      for (const fault of faults.slice(0, FAULTS_PRINTED_MAX)) console.error(`FAULT: ${fault}`)
      const kept = faults.length === 0 ? 'all promises kept' : 'FAULTS'
      const done = `${acknowledged} acknowledged in ${(ms / 1000).toFixed(1)} s: ${kept}`
      console.log(`  ${skipped === undefined ? done : `skipped: ${skipped}`}`)
      if (faults.length > 0) process.exitCode = 1
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function main(): Promise<void> {
  const { bug, json, only } = values
  const seed = Number(values.seed)
  const members = Number(values.members)
  const ms = 1000 * Number(values.seconds ?? 60 * Number(values.minutes))
  if (members !== 3 && members !== 5) throw new Error(`--members is 3 or 5, not ${values.members}`)
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-nemesis-'))
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort(new Error('stopped')))
  process.once('SIGTERM', () => stop.abort(new Error('stopped')))
  showLine(`seed ${seed}, ${members} members, folder ${folder}`)
  let isKept = false
  try {
    const result = await nemesis({
      build: bug === undefined ? BUILD : plant(BUGS, bug, folder),
      folder,
      seed,
      ms,
      members,
      only: only?.split(','),
      signal: stop.signal,
      onStrike: showLine,
      onProgress: showProgress,
    })
    isKept = result.faults.length > 0
    showLine(json ? '' : summaryOf(result))
    if (json) console.log(JSON.stringify(result))
    if (!isKept) return
    for (const fault of result.faults.slice(0, FAULTS_PRINTED_MAX)) console.error(`FAULT: ${fault}`)
    const asked = [`--seconds=${ms / 1000}`, `--seed=${seed}`, `--members=${members}`]
    if (only !== undefined) asked.push(`--only=${only}`)
    if (bug !== undefined) asked.push(`--bug=${bug}`)
    console.error(`again: npm run nemesis -- ${asked.join(' ')}\nkept: ${folder}`)
    process.exitCode = 1
  } catch (error) {
    process.exitCode = stop.signal.aborted ? 130 : 1
    if (!stop.signal.aborted) console.error(error)
  } finally {
    if (!isKept) rmSync(folder, { recursive: true, force: true })
  }
}

if (values.list) list()
else {
  await (values.scenario === undefined ? main() : playAll(values.scenario))
  // Clients of a run that was stopped may wait for members that are gone.
  process.exit()
}
