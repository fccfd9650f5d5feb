// What the forgetful file system tells about its operations, and how it is told to fail them.

export type FileOpKind =
  | 'read'
  | 'write'
  | 'truncate'
  | 'datasync'
  | 'create'
  | 'rename'
  | 'link'
  | 'remove'
  | 'makeFolder'
  | 'removeFolder'
  | 'syncDirectory'

/** One operation, as the hooks of `ForgetfulFiles` see it. */
export interface FileOp {
  readonly kind: FileOpKind
  /** Absolute path of the file or folder, under the name it has now. */
  readonly path: string
  /** rename, link: the new path. */
  readonly to?: string
  /** read, write: the first byte. */
  readonly position?: number
  /** read, write: number of bytes. truncate: the new length. */
  readonly size?: number
  /**
   * Set while an asynchronous operation is only issued. It is told of once more, without this, right
   * before it takes effect.
   */
  readonly issued?: true
}

/**
 * How an operation fails: with an error, or, for a write, with an error after the first `short` bytes
 * have landed (ENOSPC unless `error` says otherwise).
 */
export type FileFault = Error | { readonly short: number; readonly error?: Error }

/** How many lines a trace keeps; the oldest go first. */
const TRACE_LINES_MAX = 10_000

const MESSAGES: Readonly<Record<string, string>> = {
  EBADF: 'bad file descriptor',
  EEXIST: 'file already exists',
  EINVAL: 'invalid argument',
  EIO: 'i/o error',
  EISDIR: 'illegal operation on a directory',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
  EPERM: 'operation not permitted',
}

/** An error as the operating system would give it: with a `code`, a `syscall` and a `path`. */
export function errnoError(code: string, syscall: string, path: string): Error {
  const text = MESSAGES[code] ?? 'error'
  const error = new Error(`${code}: ${text}, ${syscall} '${path}'`)
  return Object.assign(error, { code, syscall, path })
}

/** The hooks of a file system that can be watched and made to fail. */
export class WatchedOperations {
  /**
   * Called before each operation takes effect, reads included. What it returns makes the operation
   * fail; undefined lets it pass.
   *
   * A datasync that fails so leaves the bytes it was to sync readable, but they no longer count as
   * unsynced: a later datasync does not save them, only writing them again does. That is what Linux
   * does after a failed writeback. Each file that is open at the time reports the error once, also if
   * another one met it. A directory sync that fails leaves its names unsynced, for a later one to save.
   */
  fault: ((op: FileOp) => FileFault | undefined) | undefined
  /**
   * Called before each operation that changes something takes effect, and also when an asynchronous
   * one is issued: the moments at which a crash is worth looking at. `index` counts the calls from 0.
   * It must not change anything itself.
   */
  onOperation: ((op: FileOp, index: number) => void) | undefined
  #count = 0
  readonly #lines: string[] | undefined

  constructor(traced: boolean) {
    this.#lines = traced ? [] : undefined
  }

  /** How many operations have been told to `onOperation`, or would have been. */
  get operations(): number {
    return this.#count
  }

  /** The last operations as readable lines, oldest first; empty unless the option `trace` is set. */
  trace(): string[] {
    return this.#lines?.slice() ?? []
  }

  /** Tells of an asynchronous operation that has been issued. For the file system itself. */
  issue(op: FileOp): void {
    this.onOperation?.({ ...op, issued: true }, this.#count)
    this.#count++
    this.#note(`${formatOperation(op)} (issued)`)
  }

  /** Tells of an operation that takes effect now; returns how it is to fail. For the file system itself. */
  begin(op: FileOp): FileFault | undefined {
    if (op.kind !== 'read') {
      this.onOperation?.(op, this.#count)
      this.#count++
    }
    const fault = this.fault?.(op)
    if (this.#lines && (fault || op.kind !== 'read')) {
      this.#note(
        fault ? `${formatOperation(op)}: ${errorOf(fault, op).message}` : formatOperation(op),
      )
    }
    return fault
  }

  /** As {@link begin}, for operations that fail entirely or not at all. */
  beginOrThrow(op: FileOp): void {
    const fault = this.begin(op)
    if (fault) throw errorOf(fault, op)
  }

  #note(line: string): void {
    const lines = this.#lines
    if (!lines) return
    lines.push(line)
    if (lines.length > 2 * TRACE_LINES_MAX) lines.splice(0, TRACE_LINES_MAX)
  }
}

export function errorOf(fault: FileFault, op: FileOp): Error {
  if (fault instanceof Error) return fault
  return fault.error ?? errnoError('ENOSPC', op.kind, op.path)
}

const VERBS: Readonly<Partial<Record<FileOpKind, string>>> = {
  makeFolder: 'mkdir',
  removeFolder: 'rmdir',
  syncDirectory: 'syncdir',
}

/** An operation as a line: `write 00..0.store @64 +128`, `rename a -> b`, `syncdir log`. */
export function formatOperation(op: FileOp): string {
  const words: string[] = [VERBS[op.kind] ?? op.kind, shortPath(op.path)]
  if (op.to !== undefined) words.push('->', shortPath(op.to))
  if (op.position !== undefined) words.push(`@${op.position}`)
  if (op.size !== undefined) words.push(op.kind === 'truncate' ? `=${op.size}` : `+${op.size}`)
  return words.join(' ')
}

/** The path below the root, with long runs of zeros left out: the names of segments are full of them. */
function shortPath(path: string): string {
  return path === '/'
    ? path
    : path.slice(1).replace(/0{6,}/g, (zeros, at: number, whole: string) => {
        const beforeDigit = /\d/.test(whole[at + zeros.length] ?? '')
        return beforeDigit ? '0..' : '0..0'
      })
}
