import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { nodeRandom, seededRandom } from '../../io/index.ts'
import type { Arguments } from '../arguments.ts'
import { quoted, UsageError } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE, EXIT_FAILED } from '../command.ts'
import { demoSource } from '../demo/source.ts'
import { LineStream } from '../demo/stream.ts'
import { type Round, Trial } from '../demo/trial.ts'
import { count, counted, seconds, size } from '../format.ts'
import type { Output } from '../output.ts'

const ROUNDS_DEFAULT = 8
const ROUNDS_MAX = 100_000
const SEED_MAX = 2 ** 32 - 1

/** Name, width, content. */
const COLUMNS: readonly (readonly [string, number, (round: Round) => string])[] = [
  ['round', 5, ({ number }) => String(number)],
  ['lived', 7, ({ livedMs }) => `${count(livedMs)} ms`],
  ['acknowledged', 12, ({ acknowledged }) => count(acknowledged)],
  ['found', 9, ({ found }) => count(found)],
  ['lost', 5, ({ lost }) => count(lost)],
  ['wrong', 5, ({ wrong }) => count(wrong)],
  ['besides', 7, ({ extra }) => count(extra)],
  ['torn', 8, ({ tornBytes }) => size(tornBytes)],
  ['verify', 7, ({ isSound }) => (isSound ? 'sound' : 'DAMAGED')],
]

const INTRODUCTION = `At random moments it is killed with SIGKILL. Then every line it acknowledged, now or in any round
before, must be in the log with its content. Besides: kept, though not yet acknowledged. Torn: a
half-written end, cut off.`

function row(cell: (column: (typeof COLUMNS)[number]) => string): string {
  return COLUMNS.map((column) => cell(column).padStart(column[1])).join('  ')
}

/** The folder for the log, and how to get rid of it. */
function workFolder(dir: string | undefined): { folder: string; remove: () => void } {
  if (dir === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-demo-'))
    const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    return { folder, remove }
  }
  const folder = resolve(dir)
  mkdirSync(folder, { recursive: true })
  if (readdirSync(folder).length > 0) {
    throw new UsageError(`--dir ${quoted(dir)} must be a new or an empty folder`)
  }
  return { folder, remove: () => {} }
}

function isBad({ lost, wrong, isSound }: Round): boolean {
  return lost > 0 || wrong > 0 || !isSound
}

function verdict(rounds: readonly Round[], acknowledged: number, elapsedMs: number): string {
  const last = rounds.at(-1)!
  const kills = counted(rounds.length, 'kill', 'kills')
  const what = `${kills}, ${counted(acknowledged, 'line', 'lines')} acknowledged, ${count(last.found)} found again with their content, ${count(last.lost)} lost (${seconds(elapsedMs)})`
  if (!rounds.some(isBad)) return `${what}: the log kept its promise.`
  return `${what}: THE LOG BROKE ITS PROMISE. Please report this, with the seed.`
}

async function rounds(trial: Trial, total: number, out: Output): Promise<Round[]> {
  const done: Round[] = []
  out.line(row(([name]) => name))
  while (done.length < total && !out.ended.aborted) {
    const round = await trial.round(done.length + 1)
    out.line(row(([, , content]) => content(round)))
    done.push(round)
  }
  return done
}

async function run(args: Arguments, { out, interrupted }: Context): Promise<number> {
  const total = args.integer('rounds', 1, ROUNDS_MAX) ?? ROUNDS_DEFAULT
  const seed = args.integer('seed', 0, SEED_MAX) ?? nodeRandom.uint32()
  const startedAt = performance.now()
  const source = await demoSource(args.positional('file'), interrupted)
  interrupted.throwIfAborted()
  const { folder, remove } = workFolder(args.text('dir'))
  try {
    out.line(`A process appends the lines of ${source.name}, over and over, to a log in`)
    out.line(`${folder} and prints the offset of each once it is on the disk.`)
    out.line(`${INTRODUCTION} Seed ${seed}.\n`)
    const trial = new Trial(folder, new LineStream(source), seededRandom(seed), interrupted)
    const done = await rounds(trial, total, out)
    if (done.length === 0) return EXIT_DONE
    out.line(`\n${verdict(done, trial.acknowledged, performance.now() - startedAt)}`)
    return done.some(isBad) ? EXIT_FAILED : EXIT_DONE
  } finally {
    remove()
  }
}

export const demo: Command = {
  name: 'demo',
  summary: 'kill a writer again and again, and count what is lost',
  details: [
    'A second process runs `tidemark append --ack`, and is killed with SIGKILL at random moments.',
    'Each time the log is verified and opened again, and every acknowledged line is compared.',
    'Ends with 1 if anything was lost. The seed decides how long each writer lives.',
  ],
  positionals: [
    {
      name: 'file',
      isOptional: true,
      help: "lines to write; by default those of standard input, or else of Tidemark's own files",
    },
  ],
  options: {
    rounds: { value: 'n', help: `how often to kill; ${ROUNDS_DEFAULT} by default` },
    seed: { value: 'n', help: 'the same seed, the same moments; random by default' },
    dir: { value: 'folder', help: 'keep the log in this new folder; by default it is removed' },
  },
  examples: [
    'tidemark demo',
    'tidemark demo access.log --rounds 50',
    'tidemark demo --dir ./demo && tidemark verify ./demo',
  ],
  run,
}
