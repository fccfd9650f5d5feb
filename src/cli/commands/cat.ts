import { isUtf8 } from 'node:buffer'
import { OFFSET_MAX } from '../../base/index.ts'
import type { Entry, ReadOptions } from '../../log/index.ts'
import { type Arguments, UsageError } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE } from '../command.ts'
import { openLog } from '../open-log.ts'
import { parseTime } from '../time.ts'

const NEWLINE = 10

/** The data of the entries, a newline behind each. */
function asLines(entries: readonly Entry[]): Buffer {
  const length = entries.reduce((sum, { data }) => sum + data.length + 1, 0)
  const lines = Buffer.allocUnsafe(length)
  let at = 0
  for (const { data } of entries) {
    lines.set(data, at)
    at += data.length
    lines[at++] = NEWLINE
  }
  return lines
}

/** One JSON object a line. What is not UTF-8 would not survive in a string, so it becomes base64. */
function asJson(entries: readonly Entry[]): string {
  let lines = ''
  for (const { offset, term, type, timestamp, count, data } of entries) {
    const span = count === 1 ? '' : `"count":${count},`
    const content = isUtf8(data)
      ? `"data":${JSON.stringify(data.toString('utf8'))}`
      : `"base64":"${data.toString('base64')}"`
    lines += `{"offset":${offset},"term":${term},"type":${type},"timestamp":${timestamp},${span}${content}}\n`
  }
  return lines
}

function readOptions(args: Arguments, signal: AbortSignal): ReadOptions {
  args.exclude('from', 'since')
  args.exclude('reverse', 'follow')
  const from = args.integer('from', 0, OFFSET_MAX)
  const to = args.integer('to', 0, OFFSET_MAX)
  const since = args.text('since')
  if (from !== undefined && to !== undefined && to < from) {
    throw new UsageError(`--to ${to} lies before --from ${from}`)
  }
  return {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(since === undefined ? {} : { fromTimestamp: parseTime(since, 'since', Date.now()) }),
    follow: args.flag('follow'),
    reverse: args.flag('reverse'),
    signal,
  }
}

async function run(args: Arguments, { out, interrupted }: Context): Promise<number> {
  const signal = AbortSignal.any([interrupted, out.ended])
  const options = readOptions(args, signal)
  const render = args.flag('json') ? asJson : asLines
  const log = await openLog(args.positional('log'), { mode: 'read' }, interrupted)
  try {
    for await (const entries of log.read(options).batches()) {
      out.write(render(entries))
      if (!out.hasRoom) await out.room(signal)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    await log.close()
  }
  return EXIT_DONE
}

export const cat: Command = {
  name: 'cat',
  summary: 'print entries',
  details: [
    'Prints the data of each entry as it is, and a newline. Works while a writer lives.',
    'Only what is safe is shown. Checksums are verified; at damage it ends with CORRUPT.',
  ],
  positionals: [
    { name: 'log', isAddress: true, help: 'the folder of the log, or its address on Kafka' },
  ],
  options: {
    from: { value: 'n', help: 'begin at this offset; the first that is kept by default' },
    to: { value: 'n', help: 'end before this offset' },
    since: {
      value: 'time',
      help: 'begin at the first entry of this time or later: 2026-01-31T12:00:00Z, ms since 1970, or an age such as 30s, 10m, 2h, 1d',
    },
    reverse: { help: 'the newest first' },
    follow: { short: 'f', help: 'wait for more; ends with Ctrl-C' },
    json: {
      help: 'one object a line: offset, term, type, timestamp (ms since 1970), and data, or base64 where the data is not UTF-8',
    },
  },
  examples: [
    'tidemark cat ./orders --from 1000 --to 2000',
    'tidemark cat ./orders --since 10m --follow',
    'tidemark cat ./orders --json | jq .timestamp',
    'tidemark cat kafka://kafka1:9092/orders/2 --follow',
  ],
  run,
}
