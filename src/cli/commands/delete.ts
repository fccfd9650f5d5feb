import { deleteLog } from '../../log/index.ts'
import { type Arguments, UsageError } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE } from '../command.ts'
import { counted } from '../format.ts'

async function run(args: Arguments, { out }: Context): Promise<number> {
  const folder = args.positional('log')
  if (!args.flag('yes')) {
    throw new UsageError(`delete removes ${folder} and all its entries for good; say so with --yes`)
  }
  const report = await deleteLog(folder)
  const { removed, left } = report
  const rest = left.length === 0 ? '' : `; left, as not the log's: ${left.join(', ')}`
  const text = `deleted: ${counted(removed, 'file', 'files')} in ${report.folder}${rest}\n`
  out.write(args.flag('json') ? `${JSON.stringify(report)}\n` : text)
  return EXIT_DONE
}

export const deletion: Command = {
  name: 'delete',
  summary: 'delete a log that nobody writes',
  details: [
    'Removes segments, snapshots, cursors, what repairs have kept, and the folder. Files that are not',
    "the log's are left, and named. If it is interrupted, doing it again goes on.",
  ],
  positionals: [{ name: 'log', help: 'the folder of the log' }],
  options: {
    yes: { short: 'y', help: 'really do it' },
    json: { help: 'one object: folder, removed (files), left (names)' },
  },
  examples: ['tidemark delete ./orders --yes'],
  run,
}
