import { OFFSET_MAX } from '../../base/index.ts'
import { inspectLog, Log } from '../../log/index.ts'
import { type Arguments, UsageError } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE } from '../command.ts'
import { size } from '../format.ts'
import { isKafkaAddress, kafkaLogOptions } from '../kafka-address.ts'
import { openKafkaLog } from '../open-log.ts'

/** How much that frees, nobody says; whole segments go, in a while. */
async function trimOnKafka(
  address: string,
  before: number,
  args: Arguments,
  { out, interrupted }: Context,
): Promise<number> {
  const log = await openKafkaLog({ ...kafkaLogOptions(address), create: undefined }, interrupted)
  try {
    await log.trim(before)
    const { lowWaterMark, highWaterMark } = log
    const facts = { lowWaterMark, highWaterMark, freedBytes: null }
    const text = `trimmed: marks ${lowWaterMark} and ${highWaterMark}`
    out.line(args.flag('json') ? JSON.stringify(facts) : text)
  } finally {
    await log.close()
  }
  return EXIT_DONE
}

async function run(args: Arguments, context: Context): Promise<number> {
  const before = args.integer('before', 0, OFFSET_MAX)
  if (before === undefined) throw new UsageError('trim needs --before <offset>')
  const folder = args.positional('log')
  if (isKafkaAddress(folder)) return trimOnKafka(folder, before, args, context)
  // Opening it for writing would make a log where there is none.
  const was = await inspectLog(folder)
  const log = await Log.open(folder)
  try {
    await log.trim(before)
  } finally {
    await log.close()
  }
  const { lowWaterMark, highWaterMark, bytes } = await inspectLog(folder)
  const freedBytes = was.bytes - bytes
  const facts = { lowWaterMark, highWaterMark, freedBytes }
  const text = `trimmed: marks ${lowWaterMark} and ${highWaterMark}, ${size(freedBytes)} freed\n`
  context.out.write(args.flag('json') ? `${JSON.stringify(facts)}\n` : text)
  return EXIT_DONE
}

export const trim: Command = {
  name: 'trim',
  summary: 'forget the entries before an offset',
  details: [
    'Raises the low-water mark, and removes the segments that lie wholly below it.',
    'Nobody may write meanwhile: a program trims its own log with log.trim. On Kafka anybody may; there the',
    'brokers delete the records for everybody, and remove whole segments in a while.',
  ],
  positionals: [
    { name: 'log', isAddress: true, help: 'the folder of the log, or its address on Kafka' },
  ],
  options: {
    before: { value: 'offset', help: 'the first offset to keep, at most the high-water mark' },
    json: { help: 'one object: lowWaterMark, highWaterMark, freedBytes (null on Kafka)' },
  },
  examples: [
    'tidemark trim ./orders --before 100000',
    'tidemark trim kafka://kafka1:9092/orders/2 --before 100000',
  ],
  run,
}
