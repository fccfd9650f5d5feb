import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import type { ReplicaId } from './core/index.ts'
import type { HardStates, Identity } from './hard-states.ts'
import type { CheckedOptions } from './member-options.ts'

const FOUNDERS_BYTES = 8

/** Who the member is: as its folder says, or, in a new one, as it says itself from now on. */
export async function identify(hardStates: HardStates, options: CheckedOptions): Promise<Identity> {
  const { cluster, id, dir, random, voters, files } = options
  const known = hardStates.identity
  if (known && (known.cluster !== cluster || known.id !== id)) {
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `${dir} belongs to member ${known.id} of ${known.cluster}, not to member ${id} of ${cluster}`,
    )
  }
  if (known) return known
  const logs = join(dir, 'logs')
  if (files.existsSync(logs) && files.listSync(logs).length > 0) {
    throw new TidemarkError(
      'CORRUPT',
      `${dir} has logs, and nothing of who it belongs to and voted for`,
    )
  }
  const words = Array.from({ length: 4 }, () => random.uint32().toString(16).padStart(8, '0'))
  const identity = { cluster, id, incarnation: words.join(''), voters }
  await hardStates.identify(identity)
  return identity
}

/**
 * What tells clusters of one name apart: members that were made with other lists of members could elect two leaders,
 * and refuse each other. Zeros for a member that has joined, and has met nobody yet.
 */
export function foundersOf(hardStates: HardStates, { cluster, voters }: Identity): Buffer {
  const known = hardStates.founders
  if (known !== undefined) return Buffer.from(known, 'hex')
  if (voters.length === 0) return Buffer.alloc(FOUNDERS_BYTES)
  return fingerprint(`${cluster} ${voters.join(' ')}`)
}

function fingerprint(text: string): Buffer {
  return createHash('sha256').update(text).digest().subarray(0, FOUNDERS_BYTES)
}

/** A member and its address, in order of their ids. */
export function founders({ voters, peers, id }: CheckedOptions, ownAddress: string) {
  const addressOf = (member: ReplicaId) => (member === id ? ownAddress : peers.get(member)!)
  return voters.map((member) => ({ id: member, address: addressOf(member) }))
}
