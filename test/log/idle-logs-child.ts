// A process that opens many logs, or one log with many segments, and says what that costs. Started by
// handles.test.ts with --expose-gc, since what is not collected is not cost.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { FolderLock, Log } from 'tidemark'

const LOGS = 1000

export interface Cost {
  /** Open descriptors per log; undefined where the system does not list them. */
  readonly descriptors: number | undefined
  /** Bytes of heap and of buffers per log. */
  readonly bytes: number
  /** Timers that are set, whether or not they keep the process alive. */
  readonly timers: number
}

export interface IdleReport {
  readonly opened: Cost
  readonly written: Cost
  readonly read: Cost
  /** The largest store of a log that was never written to. */
  readonly emptyStoreBytes: number
  /** The most disk blocks that such a store takes up. */
  readonly emptyStoreBlocks: number
}

export interface ScanReport {
  readonly segments: number
  readonly beforeBytes: number
  readonly afterScanBytes: number
  readonly afterReverseBytes: number
  readonly afterGetsBytes: number
  /** Descriptors that are open more than before, when all has been read in every way. */
  readonly descriptors: number | undefined
}

const timers = new Set<unknown>()

/** Counts all timers, those too that keep no process alive. */
function watchTimers(): void {
  const { setTimeout: set, clearTimeout: clear } = globalThis
  const watched = (fire: () => void, ms?: number) => {
    const timer = set(() => {
      timers.delete(timer)
      fire()
    }, ms)
    timers.add(timer)
    return timer
  }
  Object.assign(globalThis, {
    setTimeout: watched,
    clearTimeout: (timer: NodeJS.Timeout) => {
      timers.delete(timer)
      clear(timer)
    },
  })
}

function usedBytes(): number {
  for (let i = 0; i < 4; i++) globalThis.gc!()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function openDescriptors(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return undefined
  }
}

/** Lets 50 ms pass without a timer: these are counted. */
async function settle(): Promise<void> {
  const until = performance.now() + 50
  while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve))
}

async function idle(folder: string): Promise<IdleReport> {
  watchTimers()
  const lock = await FolderLock.acquire(folder)
  // Once through everything, so that compiled code and shared buffers are not counted.
  const warm = await Log.open(join(folder, 'warm'), { lock })
  await warm.append('x')
  for await (const _ of warm.read());
  await warm.close()
  await settle()
  const before = { descriptors: openDescriptors(), bytes: usedBytes() }
  const cost = async (): Promise<Cost> => {
    await settle()
    const now = openDescriptors()
    return {
      descriptors:
        now === undefined || before.descriptors === undefined
          ? undefined
          : (now - before.descriptors) / LOGS,
      bytes: (usedBytes() - before.bytes) / LOGS,
      timers: timers.size,
    }
  }
  const logs: Log[] = []
  for (let i = 0; i < LOGS; i += 100) {
    const some = Array.from({ length: 100 }, (_, j) => join(folder, `log-${i + j}`))
    logs.push(...(await Promise.all(some.map((path) => Log.open(path, { lock })))))
  }
  const opened = await cost()
  const stores = logs.map(({ folder }) => {
    return statSync(join(folder, readdirSync(folder).find((name) => name.endsWith('.store'))!))
  })
  await Promise.all(logs.map((log) => log.append('one entry')))
  const written = await cost()
  for (const log of logs) for await (const _ of log.read());
  const read = await cost()
  await Promise.all(logs.map((log) => log.close()))
  lock.release()
  return {
    opened,
    written,
    read,
    emptyStoreBytes: Math.max(...stores.map(({ size }) => size)),
    emptyStoreBlocks: Math.max(...stores.map(({ blocks }) => blocks)),
  }
}

const SEGMENTS = 500
const ENTRIES = 2000

async function scan(folder: string): Promise<ScanReport> {
  const options = {
    sync: 'never',
    segmentBytes: ENTRIES * 41 + 64,
    indexIntervalBytes: 1,
    cacheBytes: 0,
  } as const
  const batch = Array.from({ length: ENTRIES }, () => 'x')
  const writer = await Log.open(folder, options)
  for (let i = 0; i < SEGMENTS; i++) await writer.appendBatch(batch)
  await writer.close()
  const log = await Log.open(folder, options)
  for await (const _ of log.read({ to: 1 }));
  const beforeBytes = usedBytes()
  const before = openDescriptors()
  let count = 0
  for await (const entries of log.read().batches()) count += entries.length
  if (count !== SEGMENTS * ENTRIES) throw new Error(`${count} entries`)
  const afterScanBytes = usedBytes()
  for await (const entries of log.read({ reverse: true }).batches()) count -= entries.length
  if (count !== 0) throw new Error(`${count} entries more than in reverse`)
  const afterReverseBytes = usedBytes()
  for (let i = 0; i < SEGMENTS; i++) await log.get(i * ENTRIES + 7)
  const afterGetsBytes = usedBytes()
  const now = openDescriptors()
  const descriptors = now === undefined || before === undefined ? undefined : now - before
  await log.close()
  const bytes = { beforeBytes, afterScanBytes, afterReverseBytes, afterGetsBytes }
  return { segments: SEGMENTS, ...bytes, descriptors }
}

const [what, folder] = process.argv.slice(2)
const report = what === 'idle' ? await idle(folder!) : await scan(folder!)
process.stdout.write(JSON.stringify(report))
