import { TidemarkError } from '../../base/index.ts'
import { Log, type LogOptions, text } from '../../log/index.ts'
import { DurableMap, type MapOptions } from '../../machine/index.ts'
import type { Arguments } from '../arguments.ts'
import type { Context } from '../command.ts'
import { isKafkaAddress, kafkaLogOptions } from '../kafka-address.ts'
import { openLog, type PlainLog } from '../open-log.ts'

export type TextMap = DurableMap<string, string>

export interface OpenMap {
  readonly map: TextMap
  readonly log: PlainLog
  /** The folder, or topic and partition. */
  readonly name: string
  /** False if order was asked for, and the package for it is not installed. */
  readonly isOrdered: boolean
}

/** True if the map can have snapshots: one on Kafka only with a folder for them. */
export function hasSnapshots(place: string): boolean {
  return !isKafkaAddress(place) || kafkaLogOptions(place).dir !== undefined
}

/** Where a map is, and until when it is waited for. */
export interface MapPlace {
  /** The folder, or the address of a log on Kafka. */
  readonly place: string
  readonly interrupted: AbortSignal
}

export function placeOf(args: Arguments, { interrupted }: Context): MapPlace {
  return { place: args.positional('dir'), interrupted }
}

/**
 * Opens the map in a folder or on Kafka, and closes it and its log when `use` is done. Throws like both of them. The options
 * of the log are for one in a folder.
 */
export async function withMap<T>(
  { place, interrupted }: MapPlace,
  logOptions: LogOptions,
  ownOptions: MapOptions<string, string>,
  use: (opened: OpenMap) => Promise<T>,
): Promise<T> {
  const log = await openLog(place, logOptions, interrupted)
  const mapOptions = isKafkaAddress(place) ? onKafka(place, ownOptions) : ownOptions
  return closing(
    async () => {
      const opened = await openMap(log, mapOptions)
      return closing(
        () => use(opened),
        () => opened.map.close(),
      )
    },
    () => log.close(),
  )
}

/** A snapshot of this machine must not take the entries from all others. */
function onKafka(address: string, options: MapOptions<string, string>): MapOptions<string, string> {
  const keeps = hasSnapshots(address) ? {} : ({ snapshot: false } as const)
  return { ...options, ...keeps, trim: false }
}

async function openMap(log: PlainLog, options: MapOptions<string, string>): Promise<OpenMap> {
  const all = { keys: text, values: text, ...options }
  const { ordered: isOrdered = false } = options
  const name = log instanceof Log ? log.folder : log.name
  try {
    return { map: await DurableMap.open<string, string>(log, all), log, name, isOrdered }
  } catch (error) {
    if (!isOrdered || !(error instanceof TidemarkError && error.code === 'NOT_FOUND')) throw error
    const map = await DurableMap.open<string, string>(log, { ...all, ordered: false })
    return { map, log, name, isOrdered: false }
  }
}

/** A failure of the work comes before one of the end, which is its consequence. */
async function closing<T>(work: () => Promise<T>, close: () => Promise<void>): Promise<T> {
  const [worked] = await Promise.allSettled([work()])
  const [closed] = await Promise.allSettled([close()])
  if (worked.status === 'rejected') throw worked.reason
  if (closed.status === 'rejected') throw closed.reason
  return worked.value
}
