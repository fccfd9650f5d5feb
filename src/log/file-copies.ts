import { errnoOf, MIB, TidemarkError } from '../base/index.ts'
import type { File, Files } from '../io/index.ts'

const CHUNK_BYTES = MIB

/** Why a file may not get a second name: another file system, or one that cannot. Then it is copied. */
const LINK_REFUSALS = ['EXDEV', 'EPERM', 'EMLINK', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP']

/** How far a piece of work has come. */
export interface Progress {
  readonly bytes: number
  readonly totalBytes: number
}

/** Whoever copies says how many bytes it has dealt with, and stops when it is told to. */
export interface CopyWatch {
  readonly signal?: AbortSignal | undefined
  readonly onBytes?: (bytes: number) => void
}

/** Gives the file a second name. False if the file system refuses that. */
export function tryLink(files: Files, from: string, to: string): boolean {
  try {
    files.linkSync(from, to)
    return true
  } catch (error) {
    if (LINK_REFUSALS.includes(errnoOf(error) ?? '')) return false
    throw error
  }
}

/**
 * Copies the first `length` bytes of a file, all of it by default, to a new file, and syncs that. Throws
 * CORRUPT if it is shorter than `length`.
 */
export async function copyFile(
  files: Files,
  from: string,
  to: string,
  watch: CopyWatch = {},
  length?: number,
): Promise<number> {
  const source = files.openSync(from, 'read')
  try {
    const size = length ?? source.sizeSync()
    const target = files.openSync(to, 'create')
    try {
      const count = await copyBytes(source, target, size, watch)
      if (count < size) throw tooShort(from, count, size)
      await target.datasync()
    } finally {
      target.closeSync()
    }
    return size
  } finally {
    source.closeSync()
  }
}

/**
 * Copies the first `size` bytes from one open file to the same place in another. Returns how many there
 * were: a writer may cut the space off meanwhile that it had reserved.
 */
export async function copyBytes(
  source: File,
  target: File,
  size: number,
  { signal, onBytes }: CopyWatch,
): Promise<number> {
  const buffer = new Uint8Array(Math.min(CHUNK_BYTES, size))
  let position = 0
  while (position < size) {
    signal?.throwIfAborted()
    const wanted = buffer.subarray(0, Math.min(buffer.length, size - position))
    const count = await source.read(wanted, position)
    await target.write(wanted.subarray(0, count), position)
    position += count
    onBytes?.(count)
    if (count < wanted.length) break
  }
  return position
}

function tooShort(path: string, count: number, size: number): TidemarkError {
  const message = `${path} ends at byte ${count}, and ${size} were expected`
  return new TidemarkError('CORRUPT', message, { position: count })
}

/** Makes a file with these bytes, and syncs it. Its name is not yet safe. */
export async function writeNewFile(files: Files, path: string, bytes: Uint8Array): Promise<void> {
  const file = files.openSync(path, 'create')
  try {
    await file.write(bytes, 0)
    await file.datasync()
  } finally {
    file.closeSync()
  }
}
