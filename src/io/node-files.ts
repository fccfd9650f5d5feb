import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  read,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { errnoOf, invariant } from '../base/index.ts'
import type { File, FileMode, Files } from './files.ts'
import { lockHolderSync, lockSync } from './node-lock.ts'

// Files on node:fs, by raw descriptors: a FileHandle costs more, and is closed when it is collected.
// An open descriptor keeps no process alive; an operation under way does, until it ends.
//
// A read or write goes on until all is done. A disk that is full takes what still fits and reports
// no error (libuv drops it); only the next call does, so a short count is never the end.

/** `r+` and not `a`: on a file that is open for appending, Linux ignores the position of a write. */
const FLAGS = { read: 'r', write: 'r+', create: 'wx+' } as const
/** The kernel transfers somewhat less than 2 GiB in one call. */
const TRANSFER_BYTES_MAX = 2 ** 30
/** How many calls in a row a signal may interrupt. (Syncs are repeated by libuv.) */
const INTERRUPTS_MAX = 100

type Call = (fd: number, b: Uint8Array, offset: number, length: number, position: number) => number
type Callback = (error: NodeJS.ErrnoException | null, count: number) => void
type AsyncCall = (
  fd: number,
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number,
  callback: Callback,
) => void

function mayRepeat(error: unknown, interrupts: number): boolean {
  const code = errnoOf(error)
  return (code === 'EINTR' || code === 'EAGAIN') && interrupts < INTERRUPTS_MAX
}

/** Repeats `call` until `buffer` is done, or a call does nothing. Returns the bytes done. */
function transferSync(call: Call, fd: number, buffer: Uint8Array, position: number): number {
  const size = buffer.length
  let done = 0
  let interrupts = 0
  while (done < size) {
    let count: number
    try {
      count = call(fd, buffer, done, Math.min(size - done, TRANSFER_BYTES_MAX), position + done)
    } catch (error) {
      if (!mayRepeat(error, interrupts++)) throw error
      continue
    }
    if (count === 0) break
    done += count
    interrupts = 0
  }
  return done
}

/** {@link transferSync} in the thread pool. */
function transfer(
  call: AsyncCall,
  fd: number,
  buffer: Uint8Array,
  position: number,
  ended: Callback,
): void {
  const size = buffer.length
  let done = 0
  let interrupts = 0
  const next = () => {
    const length = Math.min(size - done, TRANSFER_BYTES_MAX)
    call(fd, buffer, done, length, position + done, (error, count) => {
      if (error) {
        if (mayRepeat(error, interrupts++)) next()
        else ended(error, done)
        return
      }
      done += count
      interrupts = 0
      if (count === 0 || done === size) ended(null, done)
      else next()
    })
  }
  if (size === 0) ended(null, 0)
  else next()
}

/** A write that makes no progress and gives no error would be repeated for ever. */
function shortWrite(done: number, size: number): Error | undefined {
  if (done === size) return undefined
  const message = `EIO: the disk takes no more and gives no reason, ${done} of ${size} bytes written`
  return Object.assign(new Error(message), { code: 'EIO', syscall: 'write' })
}

class NodeFile implements File {
  readonly #fd: number
  #closed = false
  /** Asynchronous operations under way. */
  #pending = 0

  constructor(fd: number) {
    this.#fd = fd
  }

  readSync(buffer: Uint8Array, position: number): number {
    return transferSync(readSync, this.#open(), buffer, position)
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      transfer(read, this.#begin(), buffer, position, (error, done) => {
        this.#end()
        if (error) reject(error)
        else resolve(done)
      })
    })
  }

  writeSync(buffer: Uint8Array, position: number): void {
    const done = transferSync(writeSync, this.#open(), buffer, position)
    const failure = shortWrite(done, buffer.length)
    if (failure) throw failure
  }

  write(buffer: Uint8Array, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      transfer(write, this.#begin(), buffer, position, (error, done) => {
        this.#end()
        const failure = error ?? shortWrite(done, buffer.length)
        if (failure) reject(failure)
        else resolve()
      })
    })
  }

  truncateSync(size: number): void {
    ftruncateSync(this.#open(), size)
  }

  datasyncSync(): void {
    fdatasyncSync(this.#open())
  }

  datasync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#begin(), (error) => {
        this.#end()
        if (error) reject(error)
        else resolve()
      })
    })
  }

  sizeSync(): number {
    return fstatSync(this.#open()).size
  }

  closeSync(): void {
    invariant(!this.#closed, 'a file is closed once')
    this.#closed = true
    if (this.#pending === 0) closeSync(this.#fd)
  }

  #open(): number {
    invariant(!this.#closed, 'a file is used while it is open')
    return this.#fd
  }

  /**
   * Begins an asynchronous operation. If the file is closed meanwhile, the descriptor is kept until the
   * operation has ended: its number would be given to the next file, and the operation would go there.
   */
  #begin(): number {
    const fd = this.#open()
    this.#pending++
    return fd
  }

  #end(): void {
    this.#pending--
    if (this.#closed && this.#pending === 0) closeSync(this.#fd)
  }
}

function settle(start: (callback: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error) reject(error)
      else resolve()
    })
  })
}

/**
 * Opens a folder to sync it; undefined where the system does not open folders, and so offers no way
 * to sync one.
 */
function openFolder(folder: string): number | undefined {
  try {
    return openSync(folder, 'r')
  } catch (error) {
    if (isNoFolderSync(error) || errnoOf(error) === 'EISDIR') return undefined
    throw error
  }
}

/** Windows keeps names safe by itself (NTFS has a journal), and refuses to sync a folder. */
function isNoFolderSync(error: unknown): boolean {
  return process.platform === 'win32' && errnoOf(error) === 'EPERM'
}

function syncDirectorySync(folder: string): void {
  const fd = openFolder(folder)
  if (fd === undefined) return
  try {
    fsyncSync(fd)
  } catch (error) {
    if (!isNoFolderSync(error)) throw error
  } finally {
    closeSync(fd)
  }
}

async function syncDirectory(folder: string): Promise<void> {
  const fd = openFolder(folder)
  if (fd === undefined) return
  try {
    await settle((callback) => fsync(fd, callback))
  } catch (error) {
    if (!isNoFolderSync(error)) throw error
  } finally {
    closeSync(fd)
  }
}

/**
 * Makes a folder and what is missing above it, one level at a time: Node's own `recursive` never ends
 * where a folder cannot have children although it exists, as in /proc. Returns the first one made.
 */
function makeFolderSync(folder: string): string | undefined {
  if (isFolder(folder)) return undefined
  const parent = dirname(folder)
  const first = parent === folder ? undefined : makeFolderSync(parent)
  try {
    mkdirSync(folder)
  } catch (error) {
    // Another process may have made it in the meantime.
    if (errnoOf(error) === 'EEXIST' && isFolder(folder)) return first
    throw error
  }
  return first ?? folder
}

function realPathSync(path: string): string {
  try {
    return realpathSync.native(path)
  } catch (error) {
    const parent = dirname(resolve(path))
    if (errnoOf(error) !== 'ENOENT' || parent === resolve(path)) throw error
    return join(realPathSync(parent), basename(path))
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

/** The file system of this machine. */
export const nodeFiles: Files = {
  openSync: (path: string, mode: FileMode) => new NodeFile(openSync(path, FLAGS[mode])),
  listSync: (folder) => readdirSync(folder),
  // Not fs.existsSync, for which what may not be looked at is not there.
  existsSync: (path) => statSync(path, { throwIfNoEntry: false }) !== undefined,
  realPathSync,
  makeFolderSync,
  renameSync: (from, to) => renameSync(from, to),
  linkSync: (from, to) => linkSync(from, to),
  removeSync: (path) => unlinkSync(path),
  removeFolderSync: (folder) => rmdirSync(folder),
  syncDirectorySync,
  syncDirectory,
  lockSync,
  lockHolderSync,
}
