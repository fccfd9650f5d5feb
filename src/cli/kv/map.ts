import { TidemarkError } from '../../base/index.ts'
import { Log, type LogOptions, text } from '../../log/index.ts'
import { DurableMap, type MapOptions } from '../../machine/index.ts'

export type TextMap = DurableMap<string, string>

export interface OpenMap {
  readonly map: TextMap
  readonly log: Log
  /** False if order was asked for, and the package for it is not installed. */
  readonly isOrdered: boolean
}

/** Opens the map in a folder, and closes it and its log when `use` is done. Throws like both of them. */
export async function withMap<T>(
  folder: string,
  logOptions: LogOptions,
  mapOptions: MapOptions<string, string>,
  use: (opened: OpenMap) => Promise<T>,
): Promise<T> {
  const log = await Log.open(folder, logOptions)
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

async function openMap(log: Log, options: MapOptions<string, string>): Promise<OpenMap> {
  const all = { keys: text, values: text, ...options }
  const { ordered: isOrdered = false } = options
  try {
    return { map: await DurableMap.open<string, string>(log, all), log, isOrdered }
  } catch (error) {
    if (!isOrdered || !(error instanceof TidemarkError && error.code === 'NOT_FOUND')) throw error
    const map = await DurableMap.open<string, string>(log, { ...all, ordered: false })
    return { map, log, isOrdered: false }
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
