import { TidemarkError } from '../base/index.ts'
import type { CommitLog, Entry } from '../log/index.ts'

export type PlainLog = CommitLog<Buffer, Uint8Array | string>

/** What is copied. */
export interface MirrorSource {
  /** What the target remembers it by. */
  readonly name: string
  readonly log: PlainLog
}

/** Where to go on. */
export interface MirrorPlace {
  /** The first offset in the source that is not copied. */
  readonly next: number
  /** True if there was something of this source at the target. */
  readonly isResumed: boolean
}

/** Where entries are copied to, with how far the source is copied. */
export interface MirrorTarget {
  /** What it would be called as a source. */
  readonly identity: string
  /**
   * Finds out how far the source was copied, also by a mirror that was killed; `from` is where to begin if it was not at all.
   * May be called again after a failure. Throws INVALID_ARGUMENT if something else lies there.
   */
  begin(source: MirrorSource, from: number | undefined): Promise<MirrorPlace>
  /** Takes these; they may still be lost until `settle` has resolved. */
  write(entries: readonly Entry[]): Promise<void>
  /** True while something was written and not settled. */
  readonly isDirty: boolean
  /** Resolves when all that was written is safe, and shown. */
  settle(): Promise<void>
  close(): Promise<void>
}

/** What both kinds of targets say of what they find. */
export function otherSource(target: string, found: string, wanted: string): TidemarkError {
  return new TidemarkError(
    'INVALID_ARGUMENT',
    `${target} is a mirror of ${found}, not of ${wanted}`,
  )
}

export function notEmpty(target: string, wanted: string): TidemarkError {
  return new TidemarkError(
    'INVALID_ARGUMENT',
    `${target} is not empty, and nothing in it says how far ${wanted} was copied; say from which offset on to copy behind what is there, or take an empty one`,
  )
}

/** Throws INVALID_ARGUMENT unless the two are the same entry but for offset and term. */
export function checkSame(target: string, copy: Entry, original: Entry | undefined): void {
  if (
    original &&
    copy.type === original.type &&
    copy.timestamp === original.timestamp &&
    copy.data.equals(original.data)
  ) {
    return
  }
  const what = original ? `the one at ${original.offset}` : 'any'
  throw new TidemarkError(
    'INVALID_ARGUMENT',
    `the entry at ${copy.offset} of ${target} is not ${what} of the source: it is no copy of it`,
  )
}
