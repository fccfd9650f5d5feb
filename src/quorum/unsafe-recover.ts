import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { invariant, TidemarkError } from '../base/index.ts'
import {
  type Clock,
  type Files,
  nodeClock,
  nodeFiles,
  nodeRandom,
  type Random,
} from '../io/index.ts'
import { FolderLock, Log } from '../log/index.ts'
import type { CatalogMember } from './catalog-state.ts'
import { membersOf, NOBODY, type ReplicaId } from './core/index.ts'
import { HardStates, type Identity } from './hard-states.ts'
import { foundersOf } from './identity.ts'
import { endOf } from './stored-log.ts'
import {
  lostEndOf,
  openReplica,
  readCatalog,
  type SurvivingLog,
  type SurvivorPorts,
  survivingLogs,
} from './survivor.ts'
import { TYPE_LEADER } from './wire/index.ts'

/** One entry stands for so many offsets at most, as those of users do. */
const COUNT_MAX = 2 ** 20
const FOUNDERS_DIGITS = 16

export interface UnsafeRecoverOptions {
  /** Without it, only looks. */
  readonly yes?: boolean | undefined
  readonly files?: Files | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

export interface UnsafeRecoverReport {
  readonly dir: string
  readonly cluster: string
  /** The member that the folder belongs to. */
  readonly id: ReplicaId
  /** Who belongs to the cluster, as far as is known here. */
  readonly members: readonly CatalogMember[]
  /** What this member has: the catalog first. */
  readonly logs: readonly SurvivingLog[]
  /** Logs that there are, and of which this member has nothing. */
  readonly missing: readonly { readonly name: string; readonly replicas: readonly ReplicaId[] }[]
  /** True if the member is the only one from now on. */
  readonly isRecovered: boolean
}

/**
 * When a majority of the members is gone for good: makes the member in the folder `dir`, whose process is stopped, the
 * only one of all logs that it has, and its cluster another, which refuses all other members of the old one. What was
 * acknowledged and never came to this member is lost; what came and was not acknowledged is kept. Without `yes`
 * nothing is decided: the report says what would stay. If it is interrupted, it is to be called again.
 *
 * Rejects with NOT_FOUND for a folder that is no member's, INVALID_ARGUMENT for a member that was removed, LOCKED while
 * it runs, CORRUPT if its votes or its catalog are damaged: then another one has to be taken.
 */
export async function unsafeRecover(
  dir: string,
  options: UnsafeRecoverOptions = {},
): Promise<UnsafeRecoverReport> {
  const { files = nodeFiles, clock = nodeClock, random = nodeRandom } = options
  const votes = join(dir, 'votes')
  if (!Log.isIn(votes, files)) {
    throw new TidemarkError('NOT_FOUND', `${dir} is not the folder of a member: it has no votes`)
  }
  const lock = await FolderLock.acquire(dir, { files })
  try {
    const ports = { dir, lock, files, clock, random }
    const hardStates = await HardStates.open(votes, { lock, files, clock, random })
    try {
      return await recover(ports, hardStates, options.yes === true)
    } finally {
      await hardStates.close()
    }
  } finally {
    lock.release()
  }
}

async function recover(
  ports: SurvivorPorts,
  hardStates: HardStates,
  isDone: boolean,
): Promise<UnsafeRecoverReport> {
  const { dir, random } = ports
  const { identity } = hardStates
  if (!identity) {
    throw new TidemarkError('NOT_FOUND', `${dir} is not the folder of a member: nobody was in it`)
  }
  const { cluster, id } = identity
  const catalog = await readCatalog(ports)
  if (catalog.removed.includes(id)) {
    throw new TidemarkError('INVALID_ARGUMENT', `member ${id} was removed from ${cluster}`)
  }
  const logs = await survivingLogs(ports, hardStates, catalog)
  const missing = catalog.logs
    .filter((log) => !logs.some((other) => other.id === log.id))
    .map(({ name, placement }) => ({ name, replicas: placement.replicas }))
  const { members } = catalog
  const report = { dir, cluster, id, members, logs, missing, isRecovered: isDone }
  if (!isDone) return report
  // First of all: what is changed behind it, no member of before may meet.
  await hardStates.join(nextFounders(hardStates, identity, random))
  for (const log of logs) if (log.failure === undefined) await recoverLog(ports, hardStates, log.id)
  return report
}

/** Of a cluster that nobody but this member belongs to. */
function nextFounders(hardStates: HardStates, identity: Identity, random: Random): string {
  const before = foundersOf(hardStates, identity).toString('hex')
  const drawn = [random.uint32(), random.uint32(), random.uint32(), random.uint32()]
  const text = `${before} ${identity.incarnation} ${drawn.join(' ')}`
  return createHash('sha256').update(text).digest('hex').slice(0, FOUNDERS_DIGITS)
}

/** This member votes alone from the end of its log on, in a term that is above all that it has heard of. */
async function recoverLog(ports: SurvivorPorts, hardStates: HardStates, id: number): Promise<void> {
  const key = String(id)
  const before = hardStates.get(key)!
  const log = await openReplica(ports, id)
  try {
    const term = Math.max(before.term, endOf(log).term) + 1
    const lostEnd = lostEndOf(log, before.promised)
    // Nobody can give back what damage took from the end: those offsets stay a gap.
    if (lostEnd !== undefined) await fill(log, term, lostEnd, ports.clock.now())
    const point = endOf(log)
    const members = membersOf([hardStates.identity!.id])
    const earlier = before.configurations.filter((each) => each.point.mark < point.mark)
    const configurations = [...earlier, { point, members }]
    await hardStates.save(key, { term, vote: NOBODY, promised: undefined, configurations })
  } finally {
    await log.close()
  }
}

/** Appends what no reader is shown, up to the end that the log has had. */
async function fill({ replica }: Log, term: number, end: number, now: number): Promise<void> {
  while (replica.endOffset < end) {
    const count = Math.min(end - replica.endOffset, COUNT_MAX)
    const data = Buffer.alloc(0)
    const entry = { term, type: TYPE_LEADER, timestamp: now, count, data, more: false }
    const { first } = await replica.append([entry])
    invariant(first + count === replica.endOffset, 'the log ends behind what was appended')
  }
}
