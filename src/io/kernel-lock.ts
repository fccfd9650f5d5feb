import { createRequire } from 'node:module'
import { errnoOf } from '../base/index.ts'

// Locks that the kernel keeps on an open file: they end with the process, however it ends, so they
// are never stale. Node has none, hence the optional package `fs-native-extensions`. It is loaded
// when a lock is first needed; the environment variable TIDEMARK_NO_NATIVE_LOCK=1 turns it off.
//
// On Linux such a lock belongs to the open file description, on macOS likewise, on Windows to the
// handle: two descriptors exclude each other within one process too, and closing another descriptor
// of the same file does not drop it.

interface NativeLocks {
  /** False if another descriptor holds a lock in the way. */
  tryLock(fd: number, offset: number, length: number, options: { shared: boolean }): boolean
}

/** Null once loading has failed: the package is missing, or has no build for this platform. */
let native: NativeLocks | null | undefined

function isNativeLocks(module: unknown): module is NativeLocks {
  return typeof module === 'object' && module !== null && 'tryLock' in module
}

function nativeLocks(): NativeLocks | undefined {
  if (process.env.TIDEMARK_NO_NATIVE_LOCK === '1') return undefined
  if (native === undefined) {
    try {
      const loaded: unknown = createRequire(import.meta.url)('fs-native-extensions')
      native = isNativeLocks(loaded) ? loaded : null
    } catch {
      native = null
    }
  }
  return native ?? undefined
}

/** `unsupported`: there is no native package, or the file system keeps no locks. */
export type KernelLock = 'taken' | 'busy' | 'unsupported'

/** Windows locks are mandatory: one byte far behind the text leaves the text readable. */
const RANGE: readonly [offset: number, length: number] =
  process.platform === 'win32' ? [2 ** 30, 1] : [0, 0]

/**
 * Tries once to lock the file behind `fd`, which must be open for writing if the lock is not
 * `shared`. Closing `fd` is what ends the lock.
 */
export function tryKernelLock(fd: number, shared: boolean): KernelLock {
  const locks = nativeLocks()
  if (locks === undefined) return 'unsupported'
  try {
    return locks.tryLock(fd, RANGE[0], RANGE[1], { shared }) ? 'taken' : 'busy'
  } catch (error) {
    const code = errnoOf(error)
    return code === 'EAGAIN' || code === 'EACCES' || code === 'EBUSY' ? 'busy' : 'unsupported'
  }
}
