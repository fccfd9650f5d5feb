// node build/test/nemesis/main.js [--minutes=5 | --seconds=N] --seed=N [--members=3|5] [--only=kill,pause] [--bug=NAME] [--json]
// node build/test/nemesis/main.js --list
// Real members, each in a process of its own, under faults of all kinds, and judges of what clients were told. Ends with 1 if a
// promise is broken; then all folders are kept. With --bug the members are built with that bug in them, and it must end with 1.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { BUILD, plant } from '../kill/quorum/planted-build.ts'
import { BUGS } from './bugs.ts'
import { FAULTS, type NemesisResult, nemesis } from './run.ts'

const FAULTS_PRINTED_MAX = 20

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seconds: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
    members: { type: 'string', default: '3' },
    only: { type: 'string' },
    bug: { type: 'string' },
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

function summaryOf(result: NemesisResult): string {
  const { acknowledged, unknown, refused, reads, followed, commands, commandRetries } = result
  const struck = Object.entries(result.struck).map(([name, count]) => `${name} ${count}`)
  const codes = Object.entries(result.codes).map(([code, count]) => `${code} ${count}`)
  return [
    `${result.seconds} s of ${result.members} members, seed ${result.seed}`,
    `struck: ${struck.join(', ') || 'nothing'}; ${result.failures} failures of replicas told`,
    `appends: ${acknowledged} acknowledged, ${unknown} unknown, ${refused} refused`,
    `${reads} linearizable reads, ${followed} entries followed, ${commands} commands (${commandRetries} asked again)`,
    `the longest gap between acknowledgements while a majority was healthy: ${result.longestGapMs.toFixed(0)} ms`,
    `met: ${codes.join(', ') || 'nothing'}`,
    result.faults.length === 0 ? 'all promises kept' : `${result.faults.length} FAULTS`,
  ].join('\n')
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
  await main()
  // Clients of a run that was stopped may wait for members that are gone.
  process.exit()
}
