import { sep } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import {
  afterMicrotasks,
  type File,
  type FileLock,
  type FileMode,
  type Files,
  type LockHolder,
} from '../io/index.ts'
import { errnoError, type FileOp, WatchedOperations } from './file-operations.ts'
import { Content, FileNode } from './forgetful-content.ts'
import { Disk, FolderNode, type Place, type TreeNode } from './forgetful-disk.ts'
import { type FileDelay, ForgetfulFile } from './forgetful-file.ts'

export { errnoError, type FileFault, type FileOp, type FileOpKind } from './file-operations.ts'
export type { FileDelay } from './forgetful-file.ts'

export interface ForgetfulOptions {
  /** Process id that the holder of a lock reports. This process by default. */
  readonly pid?: number
  /** See {@link ForgetfulFiles.capacityBytes}. */
  readonly capacityBytes?: number
  /** See {@link ForgetfulFiles.syncDelay}. */
  readonly syncDelay?: FileDelay
  /** See {@link ForgetfulFiles.writeDelay}. */
  readonly writeDelay?: FileDelay
  /** Keep the last operations as lines for {@link ForgetfulFiles.trace}. */
  readonly trace?: boolean
}

/**
 * A file system in memory that remembers exactly what a crash could make it forget: every write and
 * truncation since the last datasync of its file, every name made, renamed or removed since the last
 * sync of its folder. `crashImage` and `extremeImages` turn that into what a crash at this moment could
 * leave, and `cloneAll` into what the end of the process alone leaves.
 *
 * Datasync and name are independent: a synced file whose folder was not synced may lose its name, and
 * a synced name may lead to a file without its bytes. A datasync saves what was written before it was
 * *called*, once it completes. An asynchronous write takes effect when it completes, with the bytes
 * that the buffer holds then.
 *
 * Paths are POSIX paths below one root; relative ones start there too. Errors carry a `code` as those of
 * the operating system do. A lock lives as long as this object, or until it is released.
 */
export class ForgetfulFiles extends WatchedOperations implements Files {
  /**
   * How many bytes the files may take up together: a write beyond that lands as far as there is room
   * and then fails with ENOSPC. A length that was only set takes no room; a gap below a write does.
   * May be changed at any time.
   */
  capacityBytes: number
  /** How long an asynchronous datasync or directory sync takes. By default it lets all microtasks run. */
  syncDelay: FileDelay
  /** The same for an asynchronous write or read. */
  writeDelay: FileDelay
  /** @internal The state itself, for `crash-images.ts`. */
  readonly disk: Disk
  readonly #pid: number
  readonly #locks = new Map<string, LockHolder>()
  #locksTaken = 0

  constructor(options: ForgetfulOptions = {}, disk = new Disk()) {
    super(options.trace ?? false)
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY
    this.syncDelay = options.syncDelay ?? afterMicrotasks
    this.writeDelay = options.writeDelay ?? afterMicrotasks
    this.disk = disk
    this.#pid = options.pid ?? process.pid
  }

  openSync(path: string, mode: FileMode): File {
    if (mode === 'create') return new ForgetfulFile(this, this.#create(path), true)
    const node = this.#find(path)
    if (!node) throw errnoError('ENOENT', 'open', path)
    if (node.kind === 'folder') throw errnoError('EISDIR', 'open', path)
    return new ForgetfulFile(this, node, mode === 'write')
  }

  listSync(folder: string): string[] {
    return [...this.#folder(folder, 'scandir').entries.keys()]
  }

  /** There are no links here. */
  realPathSync(path: string): string {
    return absolute(path)
  }

  existsSync(path: string): boolean {
    return this.#find(path) !== undefined
  }

  makeFolderSync(folder: string): string | undefined {
    let at = this.disk.root
    let first: string | undefined
    for (const name of namesIn(folder)) {
      let node = at.entries.get(name)
      if (node?.kind === 'file') throw errnoError('ENOTDIR', 'mkdir', folder)
      if (!node) {
        const path = at.pathOf(name)
        this.beginOrThrow({ kind: 'makeFolder', path })
        node = new FolderNode(path)
        this.disk.changeName(node, undefined, { folder: at, name })
        first ??= path
      }
      at = node
    }
    return first
  }

  renameSync(from: string, to: string): void {
    const source = this.#place(from, 'rename')
    const target = this.#place(to, 'rename')
    const node = source.folder.entries.get(source.name)
    if (!node) throw errnoError('ENOENT', 'rename', from)
    const replaced = target.folder.entries.get(target.name)
    if (replaced === node) return
    const refusal = whyNotRename(node, replaced, target.folder)
    if (refusal) throw errnoError(refusal, 'rename', to)
    this.beginOrThrow({ kind: 'rename', path: node.path, to: target.folder.pathOf(target.name) })
    this.disk.changeName(node, source, target)
  }

  linkSync(from: string, to: string): void {
    const node = this.#find(from)
    if (!node) throw errnoError('ENOENT', 'link', from)
    if (node.kind === 'folder') throw errnoError('EPERM', 'link', from)
    const target = this.#place(to, 'link')
    if (target.folder.entries.has(target.name)) throw errnoError('EEXIST', 'link', to)
    this.beginOrThrow({ kind: 'link', path: node.path, to: target.folder.pathOf(target.name) })
    this.disk.addName(node, target)
  }

  removeSync(path: string): void {
    const place = this.#place(path, 'unlink')
    const node = place.folder.entries.get(place.name)
    if (!node) throw errnoError('ENOENT', 'unlink', path)
    if (node.kind === 'folder') throw errnoError('EISDIR', 'unlink', path)
    this.beginOrThrow({ kind: 'remove', path: node.path })
    this.disk.changeName(node, place, undefined)
  }

  removeFolderSync(folder: string): void {
    const node = this.#folder(folder, 'rmdir')
    if (node.entries.size > 0) throw errnoError('ENOTEMPTY', 'rmdir', folder)
    this.beginOrThrow({ kind: 'removeFolder', path: node.path })
    this.disk.changeName(node, this.#place(folder, 'rmdir'), undefined)
  }

  syncDirectorySync(folder: string): void {
    const node = this.#folder(folder, 'fsync')
    this.#syncFolder(node, this.disk.sequence)
  }

  async syncDirectory(folder: string): Promise<void> {
    const node = this.#folder(folder, 'fsync')
    const op: FileOp = { kind: 'syncDirectory', path: node.path }
    this.issue(op)
    const before = this.disk.sequence
    await this.syncDelay(op)
    this.#syncFolder(node, before)
  }

  lockSync(path: string): FileLock {
    const key = absolute(path)
    const holder = this.#locks.get(key)
    if (holder) {
      const details = holder.pid === undefined ? {} : { pid: holder.pid }
      throw new TidemarkError('LOCKED', `${key} is locked by process ${holder.pid}`, details)
    }
    const node = this.#find(path)
    if (node?.kind === 'folder') throw errnoError('EISDIR', 'open', path)
    if (!node) this.#create(path)
    const token = `${this.disk.sequence}-${++this.#locksTaken}`
    const mine: LockHolder = { pid: this.#pid, token }
    this.#locks.set(key, mine)
    return {
      token,
      releaseSync: () => {
        if (this.#locks.get(key) === mine) this.#locks.delete(key)
      },
    }
  }

  lockHolderSync(path: string): LockHolder | undefined {
    return this.#locks.get(absolute(path))
  }

  /**
   * Paths of all that a crash could change: files with bytes or a length that are not safe, and folders
   * with names that are not, in no order. Empty when everything has been synced.
   */
  unsynced(): string[] {
    const paths = new Set<string>()
    for (const file of this.disk.files()) {
      if (file.changes.some((change) => change.state !== 'synced')) paths.add(file.path)
    }
    for (const { synced, from, to } of this.disk.nameChanges) {
      if (synced) continue
      if (from) paths.add(from.folder.path)
      if (to) paths.add(to.folder.path)
    }
    return [...paths]
  }

  #create(path: string): FileNode {
    const { folder, name } = this.#place(path, 'open')
    if (folder.entries.has(name)) throw errnoError('EEXIST', 'open', path)
    const full = folder.pathOf(name)
    this.beginOrThrow({ kind: 'create', path: full })
    const node = new FileNode(full, new Content(), new Content(), [], 0)
    this.disk.changeName(node, undefined, { folder, name })
    return node
  }

  #syncFolder(folder: FolderNode, before: number): void {
    this.beginOrThrow({ kind: 'syncDirectory', path: folder.path })
    this.disk.syncFolder(folder, before)
  }

  #find(path: string): TreeNode | undefined {
    let at: TreeNode | undefined = this.disk.root
    for (const name of namesIn(path)) {
      if (at?.kind !== 'folder') return undefined
      at = at.entries.get(name)
    }
    return at
  }

  #folder(path: string, call: string): FolderNode {
    const node = this.#find(path)
    if (!node) throw errnoError('ENOENT', call, path)
    if (node.kind === 'file') throw errnoError('ENOTDIR', call, path)
    return node
  }

  /** The folder that holds the name at the end of `path`, whether or not the name is there. */
  #place(path: string, call: string): Place {
    const names = namesIn(path)
    const name = names.pop()
    if (name === undefined) throw errnoError('EISDIR', call, path)
    const folder = this.#find(names.join('/'))
    if (!folder) throw errnoError('ENOENT', call, path)
    if (folder.kind === 'file') throw errnoError('ENOTDIR', call, path)
    return { folder, name }
  }
}

/** The code with which a rename is refused, if it is. */
function whyNotRename(
  node: TreeNode,
  replaced: TreeNode | undefined,
  into: FolderNode,
): string | undefined {
  if (node.kind === 'folder') {
    if (into === node || into.path.startsWith(`${node.path}/`)) return 'EINVAL'
    if (replaced?.kind === 'file') return 'ENOTDIR'
    return replaced && replaced.entries.size > 0 ? 'ENOTEMPTY' : undefined
  }
  return replaced?.kind === 'folder' ? 'EISDIR' : undefined
}

const SEPARATOR = sep === '\\' ? /[\\/]/ : /\//

/** The names along a path from the root. */
function namesIn(path: string): string[] {
  const names: string[] = []
  for (const name of path.split(SEPARATOR)) {
    if (name === '..') names.pop()
    else if (name !== '' && name !== '.') names.push(name)
  }
  return names
}

function absolute(path: string): string {
  return `/${namesIn(path).join('/')}`
}
