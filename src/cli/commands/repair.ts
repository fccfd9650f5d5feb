import { type OffsetRange, type RepairReport, repairLog } from '../../log/index.ts'
import type { Arguments } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE, EXIT_FAILED } from '../command.ts'
import { counted } from '../format.ts'
import { Progress } from '../progress.ts'

const RANGES_MAX = 20

/** `3, 5 to 9` */
function rangesText(lost: readonly OffsetRange[]): string {
  const shown = lost.slice(0, RANGES_MAX).map(({ offset, endOffset }) => {
    return endOffset === offset + 1 ? String(offset) : `${offset} to ${endOffset - 1}`
  })
  if (lost.length > RANGES_MAX) shown.push(`and ${lost.length - RANGES_MAX} ranges more`)
  return shown.join(', ')
}

function asText(report: RepairReport, dryRun: boolean): string {
  const { lost, problems, kept, lowWaterMark, highWaterMark } = report
  const marks = `marks ${lowWaterMark} and ${highWaterMark}`
  if (report.wasSound) return `sound: nothing to repair, ${marks}\n`
  const total = lost.reduce((sum, { offset, endOffset }) => sum + endOffset - offset, 0)
  const which = total === 0 ? '' : ` (${rangesText(lost)})`
  const what = `${counted(total, 'offset', 'offsets')} lost${which}, ${marks}`
  const files = counted(kept.length, 'file', 'files')
  const lines = problems.map((problem) => `damaged: ${problem}`)
  for (const name of dryRun ? [] : kept) lines.push(`kept: ${name}`)
  lines.push(
    dryRun ? `would repair: ${what}, ${files} to keep` : `repaired: ${what}, ${files} kept`,
  )
  return `${lines.join('\n')}\n`
}

async function run(args: Arguments, { out, err, interrupted }: Context): Promise<number> {
  const dryRun = args.flag('dry-run')
  const progress = new Progress(err, 'copied')
  try {
    const report = await repairLog(args.positional('log'), {
      skip: args.flag('skip'),
      dryRun,
      signal: interrupted,
      onProgress: ({ bytes, totalBytes }) => progress.show(bytes, totalBytes),
    })
    progress.clear()
    out.write(args.flag('json') ? `${JSON.stringify(report)}\n` : asText(report, dryRun))
    return dryRun && !report.wasSound ? EXIT_FAILED : EXIT_DONE
  } finally {
    progress.clear()
  }
}

export const repair: Command = {
  name: 'repair',
  summary: 'repair a damaged log, and say what is lost',
  details: [
    'The log then ends before the first entry that cannot be read. With --skip it goes on behind it:',
    'everything sound keeps its offset, and reads pass over the rest; a batch may then be in part.',
    'A sound log is not touched. What is replaced is kept, with names that end in .broken. Nobody may',
    'write meanwhile. Ends with 0 when the log is sound, and with 1 if --dry-run finds damage.',
  ],
  positionals: [{ name: 'log', help: 'the folder of the log' }],
  options: {
    skip: { help: 'keep what is sound behind the damage too' },
    'dry-run': { short: 'n', help: 'change nothing, and say what would be done' },
    json: {
      help: 'one object: folder, wasSound, lost (offset, endOffset), problems, kept, lowWaterMark, highWaterMark',
    },
  },
  examples: ['tidemark repair ./orders --dry-run', 'tidemark repair ./orders --skip --json'],
  run,
}
