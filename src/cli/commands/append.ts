import { ENTRY_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN } from '../../base/index.ts'
import { Log } from '../../log/index.ts'
import { AppendJob, type AppendJobOptions } from '../append-job.ts'
import type { Arguments } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE, EXIT_FAILED } from '../command.ts'
import { count, counted, seconds, size } from '../format.ts'
import { openInput } from '../input.ts'
import { openLog, type PlainLog } from '../open-log.ts'
import { OrderedAppends } from '../ordered-appends.ts'
import { SYNC_OPTION, syncPolicy } from '../sync-policy.ts'

const BATCH_LINES_MAX = 1_000_000
/** A round trip to brokers takes longer than a disk. */
const KAFKA_LINES_MAX = 32_768

function summary(done: AppendJob['done'], elapsedMs: number): string {
  const { entries, bytes, first, last } = done
  if (entries === 0) return 'appended nothing'
  const rate = entries / Math.max(elapsedMs / 1000, 0.001)
  return `appended ${counted(entries, 'entry', 'entries')}, ${size(bytes)}, in ${seconds(elapsedMs)} (${count(rate)}/s), offsets ${first}..${last}`
}

function jobOf(
  log: PlainLog,
  context: Context,
  options: Omit<AppendJobOptions, 'maxEntryBytes'>,
): AppendJob {
  if (log instanceof Log) {
    return new AppendJob(log, context, { ...options, maxEntryBytes: ENTRY_BYTES_DEFAULT })
  }
  const { maxEntryBytes } = log
  const ofKafka = { ...options, maxEntryBytes, maxLines: KAFKA_LINES_MAX }
  return new AppendJob(new OrderedAppends(log), context, ofKafka)
}

async function run(args: Arguments, context: Context): Promise<number> {
  const sync = syncPolicy(args)
  const options = {
    acknowledge: args.flag('ack'),
    batchLines: args.integer('batch', 1, BATCH_LINES_MAX) ?? 0,
    whole: args.flag('whole'),
  }
  args.exclude('whole', 'batch')
  const segmentBytes = args.integer('segment-bytes', SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)
  // A wrong file name must not leave an empty log behind.
  const input = await openInput(args.positional('file'))
  const logOptions = { sync, ...(segmentBytes === undefined ? {} : { segmentBytes }) }
  const log = await openLog(args.positional('log'), logOptions, context.interrupted)
  const job = jobOf(log, context, options)
  const startedAt = performance.now()
  const failures: unknown[] = []
  await job.run(input).catch((error) => failures.push(error))
  // Also after a failure: what was appended before it stays, and is to be found without a recovery.
  await log.close().catch((error) => failures.push(error))
  const elapsedMs = performance.now() - startedAt
  if (!args.flag('quiet')) context.err.line(summary(job.done, elapsedMs))
  if (failures.length > 0) throw failures[0]
  // Whoever was to read the offsets has gone: the rest of the input was not appended, or nobody knows.
  return options.acknowledge && context.out.ended.aborted ? EXIT_FAILED : EXIT_DONE
}

export const append: Command = {
  name: 'append',
  summary: 'append lines of a file or of standard input',
  details: [
    'Each line becomes an entry, byte for byte and without its newline, as soon as it is there.',
    'The log is created if there is none. A log has one writer at a time; readers do not disturb it.',
    'On Kafka a topic is created with create=true only, and others may append between the lines.',
    'Ctrl-C ends it in good order: complete lines that were read are appended, and the log is closed.',
  ],
  positionals: [
    { name: 'log', isAddress: true, help: 'the folder of the log, or its address on Kafka' },
    { name: 'file', isOptional: true, help: 'the file to read; standard input if left out, or -' },
  ],
  options: {
    ack: { help: "print each entry's offset, on a line of its own, once it is safe" },
    batch: { value: 'n', help: 'append n lines at a time, all or nothing; the last may be fewer' },
    whole: { help: 'all of the input is one entry' },
    sync: SYNC_OPTION,
    'segment-bytes': {
      value: 'n',
      isOfFolder: true,
      help: 'begin a new segment at this size; 64 MiB by default',
    },
    quiet: { short: 'q', help: 'no summary' },
  },
  examples: [
    'tidemark append ./orders orders.txt',
    'tail -f access.log | tidemark append ./access --ack',
    'tidemark append ./photos --whole photo.jpg',
    "tidemark append 'kafka://kafka1:9092,kafka2:9092/orders?create=true&replicas=3' orders.txt",
  ],
  run,
}
