import { nodeRandom, seededRandom } from '../../io/index.ts'
import type { Arguments } from '../arguments.ts'
import { UsageError } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE, EXIT_FAILED } from '../command.ts'
import { demoSource } from '../demo/source.ts'
import { LineStream } from '../demo/stream.ts'
import { type Round, Trial } from '../demo/trial.ts'
import { workFolder } from '../demo/work-folder.ts'
import { count, counted, seconds, size } from '../format.ts'
import type { Output } from '../output.ts'

/** In the place of a file: the demo of a quorum. A file of this name is ./quorum. */
const QUORUM = 'quorum'
const ROUNDS_DEFAULT = 8
const QUORUM_ROUNDS_DEFAULT = 3
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

/** The other show; it is loaded when it runs. */
async function runQuorum(args: Arguments, context: Context): Promise<number> {
  const rounds = args.integer('rounds', 1, ROUNDS_MAX) ?? QUORUM_ROUNDS_DEFAULT
  const seed = args.integer('seed', 0, SEED_MAX) ?? nodeRandom.uint32()
  const { folder, remove } = workFolder(args.text('dir'))
  try {
    const { demoQuorum } = await import('../demo/quorum/run.ts')
    return await demoQuorum({ rounds, seed, folder, isJson: args.flag('json') }, context)
  } finally {
    remove()
  }
}

async function run(args: Arguments, context: Context): Promise<number> {
  if (args.positional('file') === QUORUM) return runQuorum(args, context)
  if (args.flag('json')) throw new UsageError('--json is for demo quorum')
  const { out, interrupted } = context
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
  summary: 'kill a writer, or a quorum of three, again and again, and count what is lost',
  details: [
    'A second process runs `tidemark append --ack`, and is killed with SIGKILL at random moments.',
    'Each time the log is verified and opened again, and every acknowledged line is compared.',
    'Ends with 1 if anything was lost. The seed decides how long each writer lives.',
    '',
    'demo quorum: three processes keep one log together. Each round kills the leader with SIGKILL, starts it',
    'again, and cuts one member off from the others for a while; lines are written all the time. At the end',
    'the three folders are compared, entry by entry and byte by byte, with each other and with what was',
    'acknowledged. The seed decides who is cut off, and when; the rest is the machine.',
  ],
  positionals: [
    {
      name: 'file',
      isOptional: true,
      words: [QUORUM],
      isPath: true,
      help: "lines to write; by default those of standard input, or else of Tidemark's own files; or quorum",
    },
  ],
  options: {
    rounds: {
      value: 'n',
      help: `how often to kill; ${ROUNDS_DEFAULT} by default, ${QUORUM_ROUNDS_DEFAULT} of a quorum`,
    },
    seed: { value: 'n', help: 'the same seed, the same moments; random by default' },
    dir: { value: 'folder', help: 'keep the log in this new folder; by default it is removed' },
    json: { help: 'quorum: one object for each event, and a summary at the end' },
  },
  examples: [
    'tidemark demo',
    'tidemark demo access.log --rounds 50',
    'tidemark demo --dir ./demo && tidemark verify ./demo',
    'tidemark demo quorum',
    'tidemark demo quorum --rounds 20 --seed 7 --json',
  ],
  run,
}
