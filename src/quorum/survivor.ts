import { join } from 'node:path'
import { ENTRY_BYTES_MAX, errnoOf, TidemarkError } from '../base/index.ts'
import type { Clock, Files, Random } from '../io/index.ts'
import { type FolderLock, Log } from '../log/index.ts'
import { CATALOG_ID, CATALOG_NAME, Catalog } from './catalog.ts'
import { type CatalogState, logWithId } from './catalog-state.ts'
import type { Point, ReplicaId } from './core/index.ts'
import type { HardStates } from './hard-states.ts'
import { hasOnlyItsWord } from './last-word.ts'
import { endOf } from './stored-log.ts'

// What a member whose process is stopped has, as its folder says.

/** What looking into a folder needs. */
export interface SurvivorPorts {
  readonly dir: string
  readonly lock: FolderLock
  readonly files: Files
  readonly clock: Clock
  readonly random: Random
}

/** One log, as this member has it. */
export interface SurvivingLog {
  readonly id: number
  /** Undefined if the catalog on this member does not have it. */
  readonly name: string | undefined
  readonly lowWaterMark: number
  /** Everything below was known here to be acknowledged, or may have been. */
  readonly highWaterMark: number
  /** What lies from the high-water mark to here may have been acknowledged or not; it is kept. */
  readonly endOffset: number
  readonly lastTerm: number
  /** Who has a vote on it, as far as is known here. */
  readonly voters: readonly ReplicaId[]
  /** False of a copy that only learns: the voters may have acknowledged much that has not come here. */
  readonly isVoter: boolean
  /** Damage, in offsets: `from` up to and without `to`. */
  readonly damaged: readonly { readonly from: number; readonly to: number }[]
  /** The end that this disk had once, if damage has taken it. */
  readonly lostEnd: number | undefined
  /** Why it cannot be opened: it stays as it is. */
  readonly failure: string | undefined
}

/** Opens the replica of a log, all of it read through. */
export async function openReplica({ dir, ...ports }: SurvivorPorts, id: number): Promise<Log> {
  const folder = join(dir, 'logs', String(id))
  if (!Log.isIn(folder, ports.files)) {
    throw new TidemarkError('CORRUPT', `the folder ${folder} is not there any more`)
  }
  const looks = { replica: true, recheck: true, examine: 'all' } as const
  return Log.open(folder, { ...looks, ...ports, maxEntryBytes: ENTRY_BYTES_MAX })
}

/** What the catalog says, as far as this member knows that it was agreed. Throws CORRUPT if it is damaged. */
export async function readCatalog(ports: SurvivorPorts): Promise<Readonly<CatalogState>> {
  const log = await openReplica(ports, CATALOG_ID)
  try {
    const catalog = await Catalog.open(log)
    try {
      return structuredClone(catalog.state)
    } finally {
      await catalog.close()
    }
  } finally {
    await log.close()
  }
}

/** Looks at every log that the member has promised anything about. */
export async function survivingLogs(
  ports: SurvivorPorts,
  hardStates: HardStates,
  catalog: Readonly<CatalogState>,
): Promise<SurvivingLog[]> {
  const found: SurvivingLog[] = []
  // Of some, which have gone elsewhere, nothing is kept but a last word.
  const isHere = (key: string) => !hasOnlyItsWord(hardStates.get(key)!)
  const ids = hardStates.logs
    .filter(isHere)
    .map(Number)
    .sort((a, b) => a - b)
  for (const id of ids) {
    const name = id === CATALOG_ID ? CATALOG_NAME : logWithId(catalog, id)?.name
    found.push(await surviving(ports, hardStates, id, name))
  }
  return found
}

async function surviving(
  ports: SurvivorPorts,
  hardStates: HardStates,
  id: number,
  name: string | undefined,
): Promise<SurvivingLog> {
  const own = hardStates.identity!.id
  const { configurations, promised } = hardStates.get(String(id))!
  try {
    const log = await openReplica(ports, id)
    try {
      const { lowWaterMark, highWaterMark, replica } = log
      const end = endOf(log)
      const inForce = configurations.findLast(({ point }) => point.mark <= end.mark)
      const voters = inForce?.members.voters ?? []
      const lost = lostEndOf(log, promised)
      const facts = { id, name, lowWaterMark, highWaterMark, endOffset: end.mark }
      const members = { lastTerm: end.term, voters, isVoter: voters.includes(own) }
      const damaged = replica.damage
        .filter(({ endPosition }) => endPosition !== undefined)
        .map(({ offset, endOffset }) => ({ from: Math.max(offset, lowWaterMark), to: endOffset }))
        .filter(({ from, to }) => to > from)
      return { ...facts, ...members, damaged, lostEnd: lost, failure: undefined }
    } finally {
      await log.close()
    }
  } catch (error) {
    const voters = configurations.at(-1)?.members.voters ?? []
    const nothing = { lowWaterMark: 0, highWaterMark: 0, endOffset: 0, lastTerm: 0, damaged: [] }
    const isVoter = voters.includes(own)
    const failure = `${errnoOf(error) ?? 'error'}: ${(error as Error).message}`
    return { id, name, ...nothing, voters, isVoter, lostEnd: undefined, failure }
  }
}

/** Where the log has ended on this disk, if it does not reach there any more. */
export function lostEndOf({ replica }: Log, promised: Point | undefined): number | undefined {
  const lost = replica.damage.filter(({ endPosition }) => endPosition === undefined)
  const end = Math.max(promised?.mark ?? 0, ...lost.map(({ endOffset }) => endOffset))
  return end > replica.endOffset ? end : undefined
}
