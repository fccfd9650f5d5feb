import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { errnoOf, invariant, TidemarkError } from '../base/index.ts'
import type { FileLock, LockHolder } from './files.ts'
import { type KernelLock, tryKernelLock } from './kernel-lock.ts'
import {
  formatRecord,
  GuardHeld,
  type Judge,
  type LockRecord,
  parseRecord,
  pause,
  readIfThere,
  sweepClaims,
  withGuard,
} from './lock-guard.ts'
import { aliveness, type ProcessIdentity, thisProcess } from './process-identity.ts'
import { randomBytes } from './random.ts'

// One writer. A lock is a file that stays where it is once made: while held, it is open, locked by
// the kernel, and its text says by whom; when released it is empty.
//
// The kernel's lock (kernel-lock.ts) settles everything between processes that have it. The text
// keeps out, and is kept out by, those that do not: without the native package, the text alone is
// the lock, and it holds as long as the process that it names is alive. What that cannot promise:
//
// - On Linux it is exact for processes of one machine and one container. The holder may also have
//   run elsewhere: in another container (of which there may be a new one after each restart), or on
//   another host. Whether it still runs cannot be told then, and the lock is refused until someone
//   removes the file. With the kernel's lock a new container gets in at once.
// - Two machines that share a network folder *and* a host name take each other for dead.
// - On macOS and Windows a new process with the pid of a dead holder keeps the lock shut.
// - A worker thread that ends without releasing keeps it shut until the whole process ends.
//
// The kernel's lock needs a file system that has locks, across hosts if several mount it.

/** Someone who asks for the holder, or a child between fork and exec, may have the lock so long. */
const KERNEL_WAIT_MS = 50
const KERNEL_STEP_MS = 2
/** How often the lock file may be replaced by someone while it is being locked. */
const ATTEMPTS_MAX = 5

const RECORD_BYTES_MAX = 4096

/** What this process holds, by real path. */
const held = new Set<string>()

/**
 * Takes the exclusive lock at `path`, creating the file if needed (its folder must exist). Throws
 * LOCKED, with the holder's pid if known, if another process or another caller in this one has it.
 * Blocks for 50 ms at most where the kernel keeps the lock, half a second where files alone do.
 */
export function lockSync(path: string): FileLock {
  for (let attempt = 1; ; attempt++) {
    const lock = attemptLock(path)
    if (lock !== undefined) return lock
    if (attempt === ATTEMPTS_MAX) {
      throw new TidemarkError('IO', `${path} is replaced by another file again and again`)
    }
  }
}

/** Undefined if the file that was locked is not the one at `path` any more. */
function attemptLock(path: string): FileLock | undefined {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o666)
  let mine: LockRecord | undefined
  try {
    const key = realpathSync.native(path)
    if (held.has(key)) throw locked(path, thisProcess())
    const kernelLock = takeKernelLock(path, fd)
    mine = { ...thisProcess(), token: Buffer.from(randomBytes(16)).toString('hex'), kernelLock }
    takeText(path, fd, mine)
    if (sameFile(fd, path)) {
      held.add(key)
      return heldLock(fd, key, mine)
    }
  } catch (error) {
    abandon(fd, mine)
    // The file was removed since it was opened, by whoever deletes what it locks.
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
  closeSync(fd)
  return undefined
}

/** Undoes a failed attempt. What went wrong first says more than what goes wrong here. */
function abandon(fd: number, mine: LockRecord | undefined): void {
  try {
    if (mine !== undefined) eraseText(fd, mine)
  } catch {
    // Then the text goes on naming this process, which keeps others out until it ends.
  } finally {
    closeSync(fd)
  }
}

function heldLock(fd: number, key: string, mine: LockRecord): FileLock {
  let released = false
  return {
    token: mine.token,
    releaseSync() {
      invariant(!released, `the lock at ${key} is released once`)
      released = true
      try {
        eraseText(fd, mine)
      } finally {
        held.delete(key)
        closeSync(fd)
      }
    },
  }
}

/** False if there is no kernel lock to be had; throws LOCKED if another process has it. */
function takeKernelLock(path: string, fd: number): boolean {
  const deadline = performance.now() + KERNEL_WAIT_MS
  for (;;) {
    const result = tryKernelLock(fd, false)
    if (result !== 'busy') return result === 'taken'
    if (performance.now() >= deadline) break
    pause(KERNEL_STEP_MS)
  }
  const holder = parseRecord(readIfThere(path) ?? '')
  throw locked(path, holder !== undefined && aliveness(holder) === 'dead' ? undefined : holder)
}

/** Writes our record into the lock file, unless it names a holder that may be alive. */
function takeText(path: string, fd: number, mine: LockRecord): void {
  // Whoever wrote a record under the kernel's lock has lost it, now that we have it.
  const judge: Judge = (record) =>
    mine.kernelLock && record.kernelLock ? 'dead' : aliveness(record, mine)
  try {
    withGuard(path, mine, judge, (claims) => {
      const crashed = replaceText(path, fd, mine, judge)
      if (crashed || claims.length > 1) sweepClaims(path, claims, judge)
    })
  } catch (error) {
    if (error instanceof GuardHeld) throw guardHeld(path, error, judge)
    if (!lacksHardLinks(error)) throw error
    if (!mine.kernelLock) throw noHardLinks(path, error)
    // No process without the kernel's lock gets in here, and among those that have it we are alone.
    replaceText(path, fd, mine, judge)
  }
}

/** Returns whether the last holder ended without a release. */
function replaceText(path: string, fd: number, mine: LockRecord, judge: Judge): boolean {
  const text = readFileSync(path, 'utf8')
  const holder = parseRecord(text)
  if (holder !== undefined) {
    const standing = judge(holder)
    if (standing === 'alive') throw locked(path, holder)
    if (standing === 'unknown') throw undecided(path, holder, path)
  }
  // Emptied first: a file that grows from nothing is never read as a mixture of old and new.
  ftruncateSync(fd, 0)
  try {
    writeFileSync(fd, formatRecord(mine))
  } catch (error) {
    ftruncateSync(fd, 0)
    throw error
  }
  return text !== ''
}

/** Empties the lock file if it still holds our record. */
function eraseText(fd: number, mine: LockRecord): void {
  const buffer = Buffer.alloc(RECORD_BYTES_MAX)
  const length = readSync(fd, buffer, 0, buffer.length, 0)
  const record = parseRecord(buffer.toString('utf8', 0, length))
  if (record?.token === mine.token) ftruncateSync(fd, 0)
}

/**
 * The living holder of the lock at `path`, this process included; undefined if nobody holds it.
 * A holder of which it cannot be told whether it lives counts as one that does. A writer that wants
 * the lock at the same moment is held up for microseconds.
 */
export function lockHolderSync(path: string): LockHolder | undefined {
  const text = readIfThere(path)
  if (text === undefined) return undefined
  const holder = parseRecord(text)
  if (held.has(realpathSync.native(path))) return { pid: process.pid, token: holder?.token }
  if (holder === undefined || aliveness(holder) === 'dead') return undefined
  if (holder.kernelLock && probeKernelLock(path) === 'taken') return undefined
  return { pid: holder.pid, token: holder.token }
}

/** `taken` if nobody has the kernel's lock; it is given back at once. */
function probeKernelLock(path: string): KernelLock {
  const fd = openSync(path, 'r')
  try {
    return tryKernelLock(fd, true)
  } finally {
    closeSync(fd)
  }
}

function sameFile(fd: number, path: string): boolean {
  const open = fstatSync(fd, { bigint: true })
  const named = statSync(path, { bigint: true, throwIfNoEntry: false })
  return named !== undefined && named.dev === open.dev && named.ino === open.ino
}

function lacksHardLinks(error: unknown): boolean {
  const linking = typeof error === 'object' && error !== null && 'syscall' in error
  if (!linking || error.syscall !== 'link') return false
  return ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errnoOf(error) ?? '')
}

function noHardLinks(path: string, cause: unknown): TidemarkError {
  const message =
    `${path} cannot be locked: its file system has no hard links, and the kernel's locks ` +
    'are not available; install the optional package fs-native-extensions'
  return new TidemarkError('IO', message, {}, cause)
}

function locked(path: string, holder: ProcessIdentity | undefined): TidemarkError {
  const message =
    `${path} is locked by ${nameOf(holder)}: only one writer may be open at a time; ` +
    'close that one first, or open for reading'
  return new TidemarkError('LOCKED', message, holder === undefined ? {} : { pid: holder.pid })
}

function nameOf(holder: ProcessIdentity | undefined): string {
  if (holder === undefined) return 'another process'
  // Another container may have a process of the same number.
  if (aliveness(holder) === 'unknown') return `process ${holder.pid} on host "${holder.host}"`
  return holder.pid === process.pid ? `this process (${holder.pid})` : `process ${holder.pid}`
}

/** `file` is what stands in the way: the lock file, or a claim of the guard. */
function undecided(path: string, holder: LockRecord, file: string): TidemarkError {
  const message =
    `${path} is locked by process ${holder.pid} on host "${holder.host}", and whether that ` +
    'still runs cannot be told from here (another machine or container); ' +
    `if it is certain that it has ended, remove ${file} and try again`
  return new TidemarkError('LOCKED', message, { pid: holder.pid })
}

function guardHeld(path: string, { owner, claim }: GuardHeld, judge: Judge): TidemarkError {
  if (owner !== undefined && judge(owner) === 'unknown') return undecided(path, owner, claim)
  return locked(path, owner)
}
