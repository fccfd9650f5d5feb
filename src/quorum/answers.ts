import type { HostedLogs } from './hosted-logs.ts'
import type { MemberContext } from './member-context.ts'
import { OPERATION } from './operations.ts'
import { leaveOut } from './readmission.ts'
import { SharedSnapshots } from './shared-snapshots.ts'
import { SnapshotReadings } from './snapshot-readings.ts'
import { trimAsLeader } from './trim-request.ts'
import {
  decodeAppendRequest,
  decodeLogPlace,
  decodeSnapshotPartRequest,
  encodeAppendOutcome,
  encodeMark,
  encodeOffsets,
  encodeSnapshotPart,
} from './wire/index.ts'

/** How long a member whose own machine may take a snapshot soon waits before it takes over another's. */
const OWN_FIRST_MS = 2_000
const LOOK_AGAIN_MS = 100

/** Answers what other members ask about logs. What cannot be answered well is answered with no. */
export function answerRequests(context: MemberContext, logs: HostedLogs): void {
  const { requests } = context
  /** One that was never opened has nothing to say. */
  const logWith = (id: number) => {
    const hosted = logs.get(id)
    return hosted?.hasOpened ? hosted : undefined
  }
  const readings = new SnapshotReadings()

  requests.handle(OPERATION.append, (_from, request) => {
    const { log, group } = decodeAppendRequest(request)
    const hosted = logWith(log)
    if (!hosted) return encodeAppendOutcome({ kind: 'refused', leader: 0 })
    const lost = () => encodeAppendOutcome({ kind: 'lost' })
    return hosted.take(group).then(encodeAppendOutcome, lost)
  })

  requests.handle(OPERATION.trim, (_from, request) => {
    const { log, mark } = decodeLogPlace(request)
    const hosted = logWith(log)
    if (!hosted) return encodeMark(undefined)
    return trimAsLeader(hosted, mark).then(encodeMark, () => encodeMark(undefined))
  })

  requests.handle(OPERATION.leaveOut, (from, request) => {
    const hosted = logWith(decodeLogPlace(request).log)
    if (!hosted) return encodeMark(undefined)
    const isOut = leaveOut(hosted, from)
    return isOut.then(
      (is) => encodeMark(is ? 0 : undefined),
      () => encodeMark(undefined),
    )
  })

  requests.handle(OPERATION.snapshots, (_from, request) => {
    const hosted = logWith(decodeLogPlace(request).log)
    if (!hosted) return encodeOffsets([])
    return hosted.log.snapshots.list().then(encodeOffsets, () => encodeOffsets([]))
  })

  requests.handle(OPERATION.snapshotPart, (from, request) => {
    const asked = decodeSnapshotPartRequest(request)
    const hosted = logWith(asked.log)
    if (!hosted) return encodeSnapshotPart(undefined)
    return readings
      .part(from, asked, hosted.log.snapshots)
      .then(encodeSnapshotPart, () => encodeSnapshotPart(undefined))
  })

  requests.handle(OPERATION.holdSnapshot, (from, request) => {
    const { log, mark } = decodeLogPlace(request)
    const hosted = logWith(log)
    if (!hosted) return encodeMark(undefined)
    const { snapshots } = hosted.log
    const held = waitForOwn(context, () => snapshots.list(), mark).then(() => {
      return new SharedSnapshots(context, hosted, () => {}).hold(from, mark)
    })
    return held.then(
      (isHeld) => encodeMark(isHeld ? mark : undefined),
      () => encodeMark(undefined),
    )
  })
}

/** A machine that runs here, on the same log, takes its own at about the same place. */
async function waitForOwn(
  { clock }: MemberContext,
  list: () => Promise<number[]>,
  mark: number,
): Promise<void> {
  const end = clock.monotonic() + OWN_FIRST_MS
  for (;;) {
    const offsets = await list()
    const isThere = offsets.some((offset) => offset >= mark)
    if (offsets.length === 0 || isThere || clock.monotonic() > end) return
    await new Promise<void>((resolve) => clock.after(LOOK_AGAIN_MS, resolve))
  }
}
