// A process that runs the contract over logs with planted faults, one after the other, as named on its command
// line. Started by faults.test.ts, which expects each to fail.
import { fileURLToPath } from 'node:url'
import { Log } from 'tidemark'
import { type ContractLog, commitLogContract, ForgetfulFiles } from 'tidemark/testing'

type Reader = ReturnType<ContractLog['read']>
type Batch = Awaited<ReturnType<Reader['next']>>['value'][]

/** A log that does everything as `log` does, except for what `changes` says. */
function changed(log: Log, changes: Partial<ContractLog>): ContractLog {
  return new Proxy(log as ContractLog, {
    get(_target, name) {
      const own = changes[name as keyof ContractLog]
      if (own !== undefined) return own
      const value = log[name as keyof Log]
      return typeof value === 'function' ? value.bind(log) : value
    },
  })
}

/** A reader whose entries pass through `change`; undefined leaves one out. */
function changedReader(reader: Reader, change: (entry: Batch[0]) => Batch[0] | undefined): Reader {
  async function next(): ReturnType<Reader['next']> {
    for (;;) {
      const result = await reader.next()
      if (result.done) return result
      const value = change(result.value)
      if (value) return { value, done: false }
    }
  }
  return Object.assign(Object.create(reader) as Reader, {
    next,
    return: () => reader.return(),
    batches: () => reader.batches(),
    [Symbol.asyncIterator]() {
      return this as Reader
    },
  })
}

export const NO_FAULT = 'no fault at all'

export const FAULTS: Readonly<Record<string, (log: Log) => Partial<ContractLog>>> = {
  'an offset that is one too high': (log) => ({
    append: async (data, options) => (await log.append(data, options)) + 1,
  }),
  'batches that are not atomic': (log) => ({
    async appendBatch(data, options) {
      const offsets: number[] = []
      for (const one of data) offsets.push(await log.append(one, options))
      return { first: offsets[0]!, last: offsets.at(-1)! }
    },
  }),
  'data that is not copied at once': (log) => ({
    append: (data, options) => Promise.resolve().then(() => log.append(data, options)),
  }),
  'timestamps that are forgotten': (log) => ({
    append: (data, { timestamp: _, ...options } = {}) => log.append(data, options),
  }),
  'an entry that is left out': (log) => {
    return {
      read: (options) => {
        let count = 0
        return changedReader(log.read(options), (entry) => (count++ === 3 ? undefined : entry))
      },
    }
  },
  'a reader that falls silent below the mark': (log) => ({
    read: (options = {}) => {
      const from = options.fromTimestamp === undefined && options.from
      if (typeof from !== 'number' || from >= log.lowWaterMark) return log.read(options)
      return log.read({ ...options, from: log.lowWaterMark })
    },
  }),
  'a low-water mark that is rounded down': (log) => ({
    trim: (before) => log.trim(before > 1 ? before - (before % 2) : before),
  }),
  'a trim beyond the end': (log) => ({
    trim: (before) => log.trim(Math.min(before, log.highWaterMark)),
  }),
  'a get that takes the next best': (log) => ({
    get: (offset) => log.get(Math.min(offset, Math.max(0, log.highWaterMark - 1))),
  }),
  'a reverse read that forgets to turn round': (log) => ({
    read: ({ reverse: _, ...options } = {}) => log.read(options),
  }),
  'a signal that is not heard': (log) => ({
    read: ({ signal: _, ...options } = {}) => log.read({ ...options, follow: false }),
  }),
  'snapshots that cannot be replaced': (log) => ({
    snapshots: {
      list: () => log.snapshots.list(),
      read: (offset) => log.snapshots.read(offset),
      remove: (offset) => log.snapshots.remove(offset),
      async write(offset, chunks) {
        if ((await log.snapshots.list()).includes(offset)) return
        await log.snapshots.write(offset, chunks)
      },
    },
  }),
  'a log that takes appends after close': (log) => ({
    append: (data, options) => log.append(data, options).catch(() => 0),
  }),
  [NO_FAULT]: () => ({}),
}

function run(fault: string): void {
  const files = new WeakMap<ContractLog, ForgetfulFiles>()
  const open = async (on: ForgetfulFiles): Promise<ContractLog> => {
    const log = await Log.open('/log', { files: on, maxEntryBytes: 2 ** 21 })
    const faulty = changed(log, FAULTS[fault]!(log))
    files.set(faulty, on)
    return faulty
  }
  commitLogContract({
    name: fault,
    maxEntryBytes: 2 ** 21,
    timeoutMs: 1500,
    open: () => open(new ForgetfulFiles()),
    reopen: async (log) => {
      await log.close()
      return open(files.get(log)!)
    },
  })
}

const [, script, ...faults] = process.argv
if (script === fileURLToPath(import.meta.url)) for (const fault of faults) run(fault)
