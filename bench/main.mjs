// `npm run bench`: measures the log beside its peers, and prints how they compare.
//
// Every row runs in a process of its own, so that no row inherits another's heap or optimised code.
// Within a row, Tidemark and its peers take turns, so that a noisy machine disturbs all of them.
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HELP, parseArguments } from './arguments.mjs'
import { flushJournal } from './disk.mjs'
import { describeMachine } from './machine.mjs'
import { replaceFigures } from './markdown.mjs'
import { installPeers } from './peers.mjs'
import { proveSyncs } from './prove-syncs.mjs'
import { isInMemory, ROW_NAMES } from './rows/index.mjs'
import { renderSvg } from './svg.mjs'
import { renderTable } from './table.mjs'

const ROW_PROCESS = fileURLToPath(new URL('row-process.mjs', import.meta.url))

/** The process that measures at the moment. */
let child

function say(text) {
  process.stderr.write(`${text}\n`)
}

/** Runs one row in a process of its own and returns its results; a row that fails says why. */
function runRow(job) {
  return new Promise((done) => {
    let result
    child = fork(ROW_PROCESS, [], { execArgv: ['--expose-gc'] })
    child.on('message', (message) => {
      result = message
    })
    child.on('exit', (code, signal) => {
      child = undefined
      done(result ?? { name: job.name, title: job.name, error: `ended with ${signal ?? code}` })
    })
    child.send(job)
  })
}

async function runRows(options, folder) {
  const rows = []
  for (const name of options.only ?? ROW_NAMES) {
    const begun = performance.now()
    const { runs, quick, full } = options
    const result = await runRow({ name, folder: join(folder, name), runs, quick, full })
    flushJournal(folder)
    rows.push(result)
    const seconds = ((performance.now() - begun) / 1000).toFixed(1)
    say(`${name}: ${seconds} s${result.error ? `, failed: ${result.error}` : ''}`)
  }
  return rows
}

async function main() {
  const options = parseArguments(process.argv.slice(2))
  if (options.help) {
    process.stdout.write(HELP)
    return
  }
  const begun = performance.now()
  const needsDisk = !(options.only ?? ROW_NAMES).every(isInMemory)
  if (needsDisk) installPeers(say)
  const folder = mkdtempSync(join(resolve(options.dir ?? tmpdir()), 'tidemark-bench-'))
  const clear = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      child?.kill('SIGKILL')
      clear()
      process.exit(130)
    })
  }
  try {
    const machine = describeMachine(folder)
    if (needsDisk) await proveSyncs(join(folder, 'proof'))
    const rows = await runRows(options, folder)
    if (options.svg !== undefined) writeFileSync(options.svg, renderSvg({ machine, options, rows }))
    if (options.readme !== undefined) replaceFigures(options.readme, { machine, options, rows })
    if (options.json) {
      const { runs, quick, full } = options
      process.stdout.write(`${JSON.stringify({ machine, runs, quick, full, rows }, null, 2)}\n`)
    } else {
      const seconds = Math.round((performance.now() - begun) / 1000)
      process.stdout.write(renderTable({ machine, options, rows, seconds }))
    }
  } finally {
    clear()
  }
}

try {
  await main()
} catch (error) {
  say(`bench: ${error.code === 'USAGE' ? error.message : error.stack}`)
  process.exitCode = error.code === 'USAGE' ? 2 : 1
}
