import type { CommitLog } from '../log/index.ts'

type PlainLog = CommitLog<Buffer, Uint8Array | string>

/**
 * The same log, but whose first barrier is none: what is built from it begins with what has come to this member, also
 * while nobody else is there, and follows from then on.
 */
export function localFirst(log: PlainLog): PlainLog {
  let isFirst = true
  return {
    get lowWaterMark() {
      return log.lowWaterMark
    },
    get highWaterMark() {
      return log.highWaterMark
    },
    append: (data, options) => log.append(data, options),
    appendBatch: (data, options) => log.appendBatch(data, options),
    read: (options) => log.read(options),
    get: (offset) => log.get(offset),
    barrier: async () => {
      if (!isFirst) await log.barrier()
      isFirst = false
    },
    trim: (before) => log.trim(before),
    snapshots: log.snapshots,
    close: () => log.close(),
    [Symbol.asyncDispose]: () => log.close(),
  }
}
