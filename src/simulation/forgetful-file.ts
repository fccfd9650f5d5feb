import type { File } from '../io/index.ts'
import {
  errnoError,
  errorOf,
  type FileOp,
  type FileOpKind,
  type WatchedOperations,
} from './file-operations.ts'
import type { FileNode } from './forgetful-content.ts'
import type { Disk } from './forgetful-disk.ts'

/** Resolves when an asynchronous operation may take effect. */
export type FileDelay = (op: FileOp) => Promise<void>

/** What an open file needs of the file system it belongs to. */
export interface FileHost extends WatchedOperations {
  readonly disk: Disk
  readonly capacityBytes: number
  readonly syncDelay: FileDelay
  readonly writeDelay: FileDelay
}

/** One open file. It keeps its file alive, whatever happens to the name. */
export class ForgetfulFile implements File {
  readonly #files: FileHost
  readonly #node: FileNode
  readonly #writable: boolean
  #open = true
  /** Failed syncs of the file that need not be reported here any more. */
  #failuresSeen: number

  constructor(files: FileHost, node: FileNode, writable: boolean) {
    this.#files = files
    this.#node = node
    this.#writable = writable
    this.#failuresSeen = node.syncFailures
  }

  readSync(buffer: Uint8Array, position: number): number {
    const op = this.#op('read', position, buffer.length)
    this.#files.beginOrThrow(op)
    const { array, size } = this.#node.content
    const count = Math.max(0, Math.min(buffer.length, size - position))
    buffer.set(array.subarray(position, position + count))
    return count
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    await this.#files.writeDelay(this.#op('read', position, buffer.length))
    return this.readSync(buffer, position)
  }

  writeSync(buffer: Uint8Array, position: number): void {
    const files = this.#files
    const node = this.#node
    const op = this.#op('write', position, buffer.length)
    const fault = files.begin(op)
    let error = fault && errorOf(fault, op)
    let landing = buffer.length
    if (fault) landing = fault instanceof Error ? 0 : Math.max(0, Math.min(fault.short, landing))
    const room = roomFor(files, node) - position
    if (landing > room) {
      landing = Math.max(0, room)
      error ??= errnoError('ENOSPC', 'write', op.path)
    }
    if (landing > 0) node.write(files.disk.nextChange(), position, buffer.subarray(0, landing))
    if (error) throw error
  }

  async write(buffer: Uint8Array, position: number): Promise<void> {
    const op = this.#op('write', position, buffer.length)
    this.#files.issue(op)
    await this.#files.writeDelay(op)
    this.writeSync(buffer, position)
  }

  truncateSync(size: number): void {
    this.#files.beginOrThrow(this.#op('truncate', undefined, size))
    this.#node.truncate(this.#files.disk.nextChange(), size)
  }

  datasyncSync(): void {
    this.#sync(this.#files.disk.sequence)
  }

  async datasync(): Promise<void> {
    const op = this.#op('datasync')
    this.#files.issue(op)
    const before = this.#files.disk.sequence
    await this.#files.syncDelay(op)
    this.#sync(before)
  }

  sizeSync(): number {
    if (!this.#open) throw errnoError('EBADF', 'fstat', this.#node.path)
    return this.#node.content.size
  }

  closeSync(): void {
    if (!this.#open) throw errnoError('EBADF', 'close', this.#node.path)
    this.#open = false
  }

  #sync(before: number): void {
    const node = this.#node
    const op = this.#op('datasync')
    const fault = this.#files.begin(op)
    if (fault) node.failSync(before, errorOf(fault, op))
    if (node.syncError && node.syncFailures !== this.#failuresSeen) {
      // A failed writeback is reported once to every file that was open then, so also to those that
      // did not ask for the sync that failed. Nothing is promised by such an answer, so nothing is saved.
      this.#failuresSeen = node.syncFailures
      throw node.syncError
    }
    node.sync(before)
  }

  /** Describes an operation on this file, and refuses what the open file does not allow. */
  #op(kind: FileOpKind, position?: number, size?: number): FileOp {
    const { path } = this.#node
    const changes = kind === 'write' || kind === 'truncate'
    if (!this.#open || (changes && !this.#writable)) throw errnoError('EBADF', kind, path)
    if (!isLength(position ?? 0) || !isLength(size ?? 0)) throw errnoError('EINVAL', kind, path)
    if (size === undefined) return { kind, path }
    return position === undefined ? { kind, path, size } : { kind, path, position, size }
  }
}

/** The position up to which the file can be written before the file system is full. */
function roomFor(files: FileHost, node: FileNode): number {
  if (files.capacityBytes === Number.POSITIVE_INFINITY) return files.capacityBytes
  let used = 0
  for (const file of files.disk.files()) used += file.allocated
  return node.allocated + Math.max(0, files.capacityBytes - used)
}

function isLength(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
