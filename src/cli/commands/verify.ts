import { type VerifyReport, verifyLog } from '../../log/index.ts'
import type { Arguments } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE, EXIT_FAILED } from '../command.ts'
import { counted, size } from '../format.ts'
import { Progress } from '../progress.ts'

function isSegmentFile(name: string): boolean {
  return name.endsWith('.store') || name.endsWith('.index')
}

function asText(report: VerifyReport): string {
  const { damage, notes, entries, segments, bytes } = report
  const lines = damage.map(({ file, position, offset, endOffset, problem }) => {
    const to = endOffset === undefined || endOffset <= offset + 1 ? '' : ` to ${endOffset - 1}`
    const what = isSegmentFile(file) ? `segment ${file}` : `file ${file}`
    return `damaged: ${what}, position ${position}, offset ${offset}${to}: ${problem}`
  })
  for (const note of notes) lines.push(`note: ${note}`)
  const verdict = report.sound ? 'sound' : counted(damage.length, 'damage', 'damages')
  lines.push(
    `${verdict}: ${counted(entries, 'sound entry', 'sound entries')} in ${counted(segments, 'segment', 'segments')}, ${size(bytes)}, marks ${report.lowWaterMark} and ${report.highWaterMark}`,
  )
  return `${lines.join('\n')}\n`
}

async function run(args: Arguments, context: Context): Promise<number> {
  const { out, err, interrupted } = context
  const progress = new Progress(err, 'verified')
  try {
    const report = await verifyLog(args.positional('log'), {
      signal: interrupted,
      onProgress: ({ bytes, totalBytes }) => progress.show(bytes, totalBytes),
    })
    progress.clear()
    out.write(args.flag('json') ? `${JSON.stringify(report)}\n` : asText(report))
    return report.sound ? EXIT_DONE : EXIT_FAILED
  } finally {
    progress.clear()
  }
}

export const verify: Command = {
  name: 'verify',
  summary: 'read everything and check everything',
  details: [
    'Checks each checksum, the order of entries, the chain of segments and the indexes.',
    'Changes nothing. Ends with 0 if the log is sound, with 1 and a line per damage if it is not.',
  ],
  positionals: [{ name: 'log', help: 'the folder of the log' }],
  options: {
    json: {
      help: 'one object: sound, damage (file, position, offset, endOffset, problem), notes, lowWaterMark, highWaterMark, entries, bytes, segments, tornBytes',
    },
  },
  examples: ['tidemark verify ./orders', 'tidemark verify ./orders --json | jq .damage'],
  run,
}
