import { OFFSET_MAX } from '../../base/index.ts'
import { inspectLog, Log } from '../../log/index.ts'
import { type Arguments, UsageError } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE } from '../command.ts'
import { size } from '../format.ts'

async function run(args: Arguments, { out }: Context): Promise<number> {
  const before = args.integer('before', 0, OFFSET_MAX)
  if (before === undefined) throw new UsageError('trim needs --before <offset>')
  const folder = args.positional('log')
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
  out.write(args.flag('json') ? `${JSON.stringify(facts)}\n` : text)
  return EXIT_DONE
}

export const trim: Command = {
  name: 'trim',
  summary: 'forget the entries before an offset',
  details: [
    'Raises the low-water mark, and removes the segments that lie wholly below it.',
    'Nobody may write meanwhile: a program trims its own log with log.trim.',
  ],
  positionals: [{ name: 'log', help: 'the folder of the log' }],
  options: {
    before: { value: 'offset', help: 'the first offset to keep, at most the high-water mark' },
    json: { help: 'one object: lowWaterMark, highWaterMark, freedBytes' },
  },
  examples: ['tidemark trim ./orders --before 100000'],
  run,
}
