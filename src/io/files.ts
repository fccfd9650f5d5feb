// The port to files. Everything above this layer reaches storage through these two interfaces; the
// implementations are node-files.ts (the real thing) and, in the layer `simulation`, one that crashes.
//
// Durability is what POSIX gives and no more: bytes are safe after the file's `datasync`, and a name
// (created, renamed or removed) is safe after the `syncDirectory` of its folder.
//
// Small operations have a blocking form only: into the page cache they cost less than a trip through
// the thread pool. What may wait for a disk has both forms, which do the same.

/** How a file is opened: `create` makes a new one and fails with EEXIST if it is there. */
export type FileMode = 'read' | 'write' | 'create'

/** One open file. Errors are the operating system's, with their `code` (ENOSPC, EIO, ...). */
export interface File {
  /** Fills `buffer` from `position`; returns the bytes read, fewer only at the end of the file. */
  readSync(buffer: Uint8Array, position: number): number
  read(buffer: Uint8Array, position: number): Promise<number>
  /** Writes all of `buffer` at `position`, or throws; after a throw any part may be there. */
  writeSync(buffer: Uint8Array, position: number): void
  write(buffer: Uint8Array, position: number): Promise<void>
  /** Makes the file `size` bytes long; what is added reads as zeros. */
  truncateSync(size: number): void
  /** Resolves when every byte written, and the length, before the call is on the disk. */
  datasyncSync(): void
  datasync(): Promise<void>
  sizeSync(): number
  closeSync(): void
}

/** Who holds a lock. Fields are undefined where they could not be read. */
export interface LockHolder {
  readonly pid: number | undefined
  /** What the lock's {@link FileLock.token} is. */
  readonly token: string | undefined
}

/** A lock that is held until it is released, or until the process that holds it ends. */
export interface FileLock {
  /** Tells this holding of the lock from every other, before and after. */
  readonly token: string
  releaseSync(): void
}

/** A file system: folders, names, locks. Paths are absolute or relative to the process. */
export interface Files {
  openSync(path: string, mode: FileMode): File
  /** Names of the entries of a folder, in no order. ENOENT if there is no such folder. */
  listSync(folder: string): string[]
  /** True if there is a file or folder of that name. */
  existsSync(path: string): boolean
  /**
   * The one absolute path of what is at `path`, all links followed; of something that is not there, the path
   * below its parent's.
   */
  realPathSync(path: string): string
  /** Makes the folder and its parents; no error if it is there. Returns the first folder made. */
  makeFolderSync(folder: string): string | undefined
  /** Renames within one file system, replacing `to` in one step. */
  renameSync(from: string, to: string): void
  /**
   * Gives the file at `from` a second name, `to`: one file from then on, whichever name it is opened
   * by. EEXIST if `to` is taken, ENOENT if there is no file; where a file cannot have two names, one of
   * EXDEV, EPERM, EMLINK, ENOSYS, ENOTSUP and EOPNOTSUPP.
   */
  linkSync(from: string, to: string): void
  /** Removes a file. ENOENT if there is none. */
  removeSync(path: string): void
  /** Removes a folder, which must be empty: ENOTEMPTY. ENOENT if there is none. */
  removeFolderSync(folder: string): void
  syncDirectorySync(folder: string): void
  syncDirectory(folder: string): Promise<void>
  /**
   * Takes the exclusive lock that the file at `path` stands for, creating the file if needed.
   * Throws LOCKED, with the holder's pid where it is known, if another process or another caller in
   * this one holds it.
   */
  lockSync(path: string): FileLock
  /** The living holder of the lock at `path`, or undefined if nobody holds it. */
  lockHolderSync(path: string): LockHolder | undefined
}
