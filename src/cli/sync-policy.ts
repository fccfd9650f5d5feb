import type { SyncPolicy } from '../log/index.ts'
import { type Arguments, quoted, UsageError } from './arguments.ts'
import type { OptionShape } from './command.ts'

/** The option of every command that writes. */
export const SYNC_OPTION: OptionShape = {
  value: 'when',
  isOfFolder: true,
  help: 'what safe means: always (on the disk, the default), never (in the kernel), or a number of ms (in the kernel, and on the disk so much later)',
}

export function syncPolicy(args: Arguments): SyncPolicy {
  const word = args.text('sync') ?? 'always'
  if (word === 'always' || word === 'never') return word
  const intervalMs = /^\d{1,7}$/.test(word) ? Number(word) : 0
  if (intervalMs >= 1 && intervalMs <= 3_600_000) return { intervalMs }
  throw new UsageError(
    `--sync must be always, never, or milliseconds from 1 to 3600000, not ${quoted(word)}`,
  )
}
