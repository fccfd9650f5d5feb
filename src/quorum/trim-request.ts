import { TidemarkError } from '../base/index.ts'
import { NOBODY } from './core/index.ts'
import type { HostedLog } from './hosted-log.ts'
import type { MemberContext } from './member-context.ts'
import { OPERATION } from './operations.ts'
import { Disconnected } from './requests.ts'
import { startOfBatch } from './stored-log.ts'
import { decodeMark, encodeLogPlace } from './wire/index.ts'

const ASK_AGAIN_MS = 20

/** Has the leader trim the log, and waits until it is trimmed here. Rejects with UNAVAILABLE. */
export async function trimFor(
  context: MemberContext,
  hosted: HostedLog,
  before: number,
): Promise<void> {
  const { timeoutMs } = context.settings
  const end = context.clock.monotonic() + timeoutMs
  for (;;) {
    const low = await askLeader(context, hosted, before)
    if (low !== undefined) {
      const isTrimmed = () => hosted.log.lowWaterMark >= low
      await hosted.until(isTrimmed, timeoutMs, `${hosted.name} is trimmed to ${low} here`)
      return
    }
    if (context.clock.monotonic() > end) {
      throw new TidemarkError('UNAVAILABLE', `nobody can trim ${hosted.name} now`)
    }
    await new Promise<void>((resolve) => context.clock.after(ASK_AGAIN_MS, resolve, true))
    // Rejects where the log was closed meanwhile.
    await hosted.until(() => true, 0, 'open')
  }
}

/** The mark that will be everybody's; undefined if nobody leads who could say. */
async function askLeader(
  { id, requests }: MemberContext,
  hosted: HostedLog,
  before: number,
): Promise<number | undefined> {
  const { leader } = hosted
  if (leader === NOBODY) return undefined
  if (leader === id) return trimAsLeader(hosted, before)
  const body = encodeLogPlace({ log: hosted.id, mark: before })
  try {
    return decodeMark(await requests.ask(leader, OPERATION.trim, body))
  } catch (error) {
    if (error instanceof Disconnected) return undefined
    throw error
  }
}

/**
 * Trims to the mark, or to the start of the batch that it lies in. The mark that it is then; undefined if this replica
 * does not lead, or has not shown as much yet.
 */
export async function trimAsLeader(hosted: HostedLog, before: number): Promise<number | undefined> {
  const { host, log } = hosted
  if (host?.status.role !== 'leader' || log.highWaterMark < before) return undefined
  if (before <= host.status.low) return host.status.low
  const mark = before === log.replica.endOffset ? before : await startOfBatch(log, before)
  if (host.status.role !== 'leader') return undefined
  host.step({ kind: 'trim', mark })
  return host.status.low
}
