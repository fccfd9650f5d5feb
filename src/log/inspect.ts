import { resolve } from 'node:path'
import { type Files, nodeFiles } from '../io/index.ts'
import { writerOf } from './folder-lock.ts'
import { withIoErrors } from './io-error.ts'
import { Log } from './log.ts'
import { readMeta } from './meta-file.ts'
import { logSettings } from './options.ts'
import { storeSize, whileTrimmed } from './outline.ts'
import { findLog } from './recovery.ts'

export interface LogInfo {
  readonly folder: string
  readonly lowWaterMark: number
  readonly highWaterMark: number
  /** Offsets between the marks. */
  readonly entries: number
  /** Bytes of the segments' files. */
  readonly bytes: number
  readonly segments: number
  readonly hasWriter: boolean
  /** The living writer's process id, where it is known. */
  readonly writerPid: number | undefined
  /** True if the last writer closed the log, or has not written to it yet. */
  readonly isClean: boolean
}

/** See on-demand.ts, through which programs call it. */
export async function inspectLog(
  folder: string,
  options: { files?: Files } = {},
): Promise<LogInfo> {
  const files = options.files ?? nodeFiles
  const path = resolve(folder)
  return withIoErrors(`inspect the log ${path}`, () => whileTrimmed(() => inspect(files, path)))
}

async function inspect(files: Files, path: string): Promise<LogInfo> {
  const log = await Log.open(path, { mode: 'read', files })
  try {
    const { lowWaterMark, highWaterMark } = log
    const settings = logSettings({ mode: 'read', files })
    const segments = findLog(settings, path)?.chain.segments ?? []
    const bytes = segments.reduce((sum, segment) => sum + storeSize(settings, segment), 0)
    const writer = writerOf(files, path)
    const meta = readMeta(files, path)
    return {
      folder: path,
      lowWaterMark,
      highWaterMark,
      entries: highWaterMark - lowWaterMark,
      bytes,
      segments: segments.length,
      hasWriter: writer !== undefined,
      writerPid: writer?.pid,
      isClean: meta !== undefined && 'meta' in meta && meta.meta.clean !== undefined,
    }
  } finally {
    await log.close()
  }
}
