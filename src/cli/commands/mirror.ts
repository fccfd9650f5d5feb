import { OFFSET_MAX } from '../../base/index.ts'
import type { MirrorEnd, MirrorProgress, MirrorReport } from '../../kafka/index.ts'
import type { Arguments } from '../arguments.ts'
import { UsageError } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE } from '../command.ts'
import { count, counted, size } from '../format.ts'
import { isKafkaAddress, KAFKA_ADDRESS, kafkaLogOptions } from '../kafka-address.ts'
import { Progress } from '../progress.ts'

const REPORT_MS = 1_000

function asText(report: MirrorProgress & Partial<MirrorReport>): string {
  const { entries, bytes, next, lag, isResumed, from } = report
  const what = `${counted(entries, 'entry', 'entries')}, ${size(bytes)}`
  const where = isResumed ? `, going on at ${from}` : ''
  const behind = lag > 0 ? `; the source has ${count(lag)} offsets more` : ''
  return `mirrored: ${what}${where}, up to ${next}${behind}\n`
}

function endOf(word: string): MirrorEnd {
  return isKafkaAddress(word) ? kafkaLogOptions(word) : word
}

/** Tells how far it is: on a terminal in one line, to a program that follows in an object a second. */
class Teller {
  readonly #context: Context
  readonly #progress: Progress
  readonly #isTold: boolean
  #nextAt = 0
  latest: MirrorProgress | undefined

  constructor(context: Context, isTold: boolean) {
    this.#context = context
    this.#progress = new Progress(context.err, 'mirrored')
    this.#isTold = isTold
  }

  show(progress: MirrorProgress): void {
    this.latest = progress
    const { entries, bytes, lag } = progress
    this.#progress.say(
      () => `mirrored ${count(entries)} entries, ${size(bytes)}; ${count(lag)} offsets behind`,
    )
    const now = performance.now()
    if (!this.#isTold || now < this.#nextAt) return
    this.#nextAt = now + REPORT_MS
    this.#context.out.write(`${JSON.stringify(progress)}\n`)
  }

  clear(): void {
    this.#progress.clear()
  }
}

async function run(args: Arguments, context: Context): Promise<number> {
  const { out, interrupted } = context
  const isJson = args.flag('json')
  const follow = args.flag('follow')
  const from = args.integer('from', 0, OFFSET_MAX)
  const ends = [endOf(args.positional('from')), endOf(args.positional('to'))] as const
  if (args.positional('from') === args.positional('to')) {
    throw new UsageError('a log cannot be a mirror of itself')
  }
  const teller = new Teller(context, isJson && follow)
  const tell = (report: MirrorProgress) =>
    out.write(isJson ? `${JSON.stringify(report)}\n` : asText(report))
  const { mirrorLog } = await import('../../kafka/index.ts')
  try {
    const report = await mirrorLog(...ends, {
      follow,
      signal: interrupted,
      onProgress: (progress) => teller.show(progress),
      ...(from !== undefined && { from }),
    })
    teller.clear()
    tell(report)
    return EXIT_DONE
  } catch (error) {
    teller.clear()
    // What was copied until then is safe.
    if (interrupted.aborted && error === interrupted.reason && teller.latest) tell(teller.latest)
    throw error
  }
}

export const mirror: Command = {
  name: 'mirror',
  summary: 'copy a log to another, between folders and Kafka, and go on later',
  details: [
    'Copies entries with their types and times, in order; offsets and terms are those of the target. How far',
    'it has come is kept at the target: killed at any moment and called again, it goes on behind the last entry',
    'that is there, so that none is missing and none is there twice. It ends where the source ended when it',
    'began; with --follow it goes on with what comes, until Ctrl-C.',
    'The target is empty at first, or was made by an earlier call. One mirror into a target at a time.',
    `On Kafka the address is ${KAFKA_ADDRESS}`,
  ],
  positionals: [
    { name: 'from', isAddress: true, help: 'the folder of a log, or a kafka:// address' },
    { name: 'to', isAddress: true, help: 'the same; a folder is made if there is none' },
  ],
  options: {
    follow: { short: 'f', help: 'go on with what comes' },
    from: { value: 'offset', help: 'where to begin in the source, the first time' },
    json: {
      help: 'one object: entries, bytes, next, lag, from, isResumed; with --follow also one a second',
    },
  },
  examples: [
    "tidemark mirror ./orders 'kafka://localhost:9092/orders?create=true'",
    'tidemark mirror kafka://localhost:9092/orders/0 ./orders-copy --follow',
  ],
  run,
}
