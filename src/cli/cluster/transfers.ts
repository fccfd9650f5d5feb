import { exportLog as exportOf, importLog as importOf } from '../../quorum/index.ts'
import type { Arguments } from '../arguments.ts'
import { type Context, EXIT_DONE } from '../command.ts'
import { count, counted } from '../format.ts'
import { checkFolder } from '../kafka-address.ts'
import { Progress } from '../progress.ts'
import { Asking } from './asking.ts'

export async function exportLog(args: Arguments, context: Context): Promise<number> {
  const [log = '', dir = ''] = args.words('words')
  checkFolder(dir, 'cluster export')
  return transferred(args, context, 'exported', async (asking, options) => {
    const report = await exportOf(await asking.having(log), log, dir, options)
    const { entries, folder, next, isResumed } = report
    const what = `${counted(entries, 'entry', 'entries')}${isResumed ? ' more' : ''}`
    return [report, `exported ${what} of ${log} into ${folder}, up to offset ${count(next)}`]
  })
}

export async function importLog(args: Arguments, context: Context): Promise<number> {
  const [dir = '', log = ''] = args.words('words')
  checkFolder(dir, 'cluster import')
  const name = args.text('name')
  return transferred(args, context, 'imported', async (asking, options) => {
    const client = await asking.having(log)
    const report = await importOf(client, dir, log, { ...options, ...(name && { name }) })
    const { entries, next, isResumed } = report
    const what = `${counted(entries, 'entry', 'entries')}${isResumed ? ' more' : ''}`
    return [report, `imported ${what} of ${dir} into ${log}, up to offset ${count(next)}`]
  })
}

interface Options {
  readonly signal: AbortSignal
  readonly onProgress: (done: { readonly at: number; readonly end: number }) => void
}

async function transferred(
  args: Arguments,
  { out, err, interrupted }: Context,
  verb: string,
  work: (asking: Asking, options: Options) => Promise<[report: object, text: string]>,
): Promise<number> {
  const progress = new Progress(err, verb)
  const asking = new Asking(args, interrupted)
  try {
    const [report, text] = await work(asking, {
      signal: interrupted,
      onProgress: ({ at, end }) => {
        progress.say(() => `${verb} up to offset ${count(at)} of ${count(end)}`)
      },
    })
    progress.clear()
    out.line(args.flag('json') ? JSON.stringify(report) : text)
    return EXIT_DONE
  } finally {
    progress.clear()
    await asking.close()
  }
}
