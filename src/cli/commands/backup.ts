import { type BackupReport, backupLog } from '../../log/index.ts'
import type { Arguments } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE } from '../command.ts'
import { counted, size } from '../format.ts'
import { Progress } from '../progress.ts'

function asText(report: BackupReport): string {
  const { folder, lowWaterMark, highWaterMark, segments, linkedBytes, copiedBytes } = report
  const what = `${size(linkedBytes)} linked, ${size(copiedBytes)} copied`
  return `backed up: marks ${lowWaterMark} and ${highWaterMark}, ${counted(segments, 'segment', 'segments')}, ${what}, in ${folder}\n`
}

async function run(args: Arguments, { out, err, interrupted }: Context): Promise<number> {
  const progress = new Progress(err, 'backed up')
  try {
    const report = await backupLog(args.positional('log'), args.positional('to'), {
      signal: interrupted,
      onProgress: ({ bytes, totalBytes }) => progress.show(bytes, totalBytes),
    })
    progress.clear()
    out.write(args.flag('json') ? `${JSON.stringify(report)}\n` : asText(report))
    return EXIT_DONE
  } finally {
    progress.clear()
  }
}

export const backup: Command = {
  name: 'backup',
  summary: 'make a backup while the writer goes on',
  details: [
    'The backup is a log of its own with everything that was acknowledged when it began. To restore it,',
    'open it. On the same file system sealed segments are hard links; on another one they are copied.',
    'If it is interrupted, there is nothing under the name <to>.',
  ],
  positionals: [
    { name: 'log', help: 'the folder of the log' },
    { name: 'to', help: 'the folder to make; it must not exist' },
  ],
  options: {
    json: {
      help: 'one object: folder, lowWaterMark, highWaterMark, segments, linkedBytes, copiedBytes',
    },
  },
  examples: [
    'tidemark backup ./orders /mnt/backup/orders.2026-01-31',
    'tidemark backup ./orders ./copy && tidemark verify ./copy',
  ],
  run,
}
