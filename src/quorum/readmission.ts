import { NOBODY, type ReplicaId } from './core/index.ts'
import type { HostedLog } from './hosted-log.ts'
import type { MemberContext } from './member-context.ts'
import { OPERATION } from './operations.ts'
import { Disconnected } from './requests.ts'
import { decodeMark, encodeLogPlace } from './wire/index.ts'

// A replica that cannot be opened has lost what it promised: what it voted for, and what it has acknowledged. It may
// begin anew as if it had never been, once the others do not count it any more: with the majority that commits its
// going everything is on their disks that was on a majority with it (the change is behind all that in the log), and no
// candidate without that change in its log can win without them. The keeper then takes it in again, as one that is new.

/** How long a leader waits for the change to be committed. */
const CHANGE_MS = 5_000

/** Asks the others to go on with a log without the replica on this member. True if they certainly do. */
export async function askToBeOut(context: MemberContext, log: number): Promise<boolean> {
  for (const peer of context.connected()) {
    const body = encodeLogPlace({ log, mark: 0 })
    try {
      const reply = await context.requests.ask(peer, OPERATION.leaveOut, body)
      if (decodeMark(reply) !== undefined) return true
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error
    }
  }
  return false
}

/** As leader: takes a member out of a log. True if its going is committed. */
export async function leaveOut(hosted: HostedLog, member: ReplicaId): Promise<boolean> {
  const { host } = hosted
  if (!host?.isLeader || !host.status.isReady || member === NOBODY) return false
  const { term } = host
  const leads = () => hosted.host === host && host.isLeader && host.term === term
  const isOut = () => {
    const { isSettled, members } = host.status
    const all = [...members.voters, ...members.outgoing, ...members.learners]
    return isSettled && !all.includes(member)
  }
  if (!isOut()) {
    const { isSettled, members } = host.status
    const voters = members.voters.filter((id) => id !== member)
    const learners = members.learners.filter((id) => id !== member)
    if (!isSettled || voters.length === 0) return false
    // How it ends is seen below.
    host.change({ voters, learners, outgoing: [] }).catch(() => {})
    await hosted.until(() => isOut() || !leads(), CHANGE_MS, 'a replica is out').catch(() => {})
    if (!leads() || !isOut()) return false
  }
  // One that was paused may not know yet who leads now, and has taken the member in again: a quorum has to say so.
  const isConfirmed = await host.readIndex().then(
    () => true,
    () => false,
  )
  return isConfirmed && leads() && isOut()
}
