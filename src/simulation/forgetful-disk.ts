import { invariant } from '../base/index.ts'
import { FileNode } from './forgetful-content.ts'

// The state of the forgetful file system: what is there now, what a crash cannot take away, and the
// ordered changes between the two. Files and names are independent, as POSIX has it: syncing one says
// nothing about the other.

/** A folder. A name is found in `entries` now, and in `durable` after a crash. */
export class FolderNode {
  readonly kind = 'folder'
  path: string
  readonly entries: Map<string, TreeNode>
  readonly durable: Map<string, TreeNode>

  constructor(path: string, entries = new Map<string, TreeNode>(), durable = new Map(entries)) {
    this.path = path
    this.entries = entries
    this.durable = durable
  }

  pathOf(name: string): string {
    return this.path === '/' ? `/${name}` : `${this.path}/${name}`
  }
}

export type TreeNode = FileNode | FolderNode

/** A name in a folder. */
export interface Place {
  readonly folder: FolderNode
  readonly name: string
}

/** Names, each in its folder. */
export class Places {
  readonly #names = new Map<FolderNode, Set<string>>()

  add({ folder, name }: Place): void {
    const names = this.#names.get(folder)
    if (names) names.add(name)
    else this.#names.set(folder, new Set([name]))
  }

  has({ folder, name }: Place): boolean {
    return this.#names.get(folder)?.has(name) ?? false
  }

  /** True if it was there. */
  delete({ folder, name }: Place): boolean {
    return this.#names.get(folder)?.delete(name) ?? false
  }
}

/**
 * A name made or added (only `to`), removed (only `from`), or both in one step: a rename. A file can have
 * several names, so what a change builds on is the name it came from, and not the file.
 */
export interface NameChange {
  readonly at: number
  readonly node: TreeNode
  readonly from: Place | undefined
  readonly to: Place | undefined
  /**
   * Safe, because one of its folders was synced: a rename happens in one step, so that one half of it
   * on the disk means that the other is there too. Listed still, behind one that is not safe.
   */
  synced: boolean
}

/** Applies a change to the names of the folders that `namesOf` gives. */
export function applyNameChange(
  change: NameChange,
  namesOf: (folder: FolderNode) => Map<string, TreeNode>,
): void {
  if (change.from) namesOf(change.from.folder).delete(change.from.name)
  if (change.to) namesOf(change.to.folder).set(change.to.name, change.node)
}

/** A tree of files and folders with all that a crash could still undo. */
export class Disk {
  readonly root: FolderNode
  readonly nameChanges: NameChange[]
  #sequence: number

  constructor(root = new FolderNode('/'), nameChanges: NameChange[] = [], sequence = 0) {
    this.root = root
    this.nameChanges = nameChanges
    this.#sequence = sequence
  }

  /** The place of the next change: changes made until now have a lower one. */
  get sequence(): number {
    return this.#sequence
  }

  nextChange(): number {
    return this.#sequence++
  }

  changeName(node: TreeNode, from: Place | undefined, to: Place | undefined): void {
    const change: NameChange = { at: this.nextChange(), node, from, to, synced: false }
    applyNameChange(change, (folder) => folder.entries)
    if (to) movePath(node, to.folder.pathOf(to.name))
    this.nameChanges.push(change)
  }

  /** Gives a file one more name; messages go on calling it by the one it had. */
  addName(node: FileNode, to: Place): void {
    const change: NameChange = { at: this.nextChange(), node, from: undefined, to, synced: false }
    applyNameChange(change, (folder) => folder.entries)
    this.nameChanges.push(change)
  }

  /** Saves the names of `folder` as they were at `before`. */
  syncFolder(folder: FolderNode, before: number): void {
    const changes = this.nameChanges
    /** A name on the disk means that what led to it, from wherever it came, is on the disk too. */
    const needed = new Places()
    for (let index = changes.length - 1; index >= 0; index--) {
      const change = changes[index]!
      if (change.at >= before) continue
      const leadsThere = change.to !== undefined && needed.delete(change.to)
      if (!leadsThere && !foldersOf(change).includes(folder)) continue
      change.synced = true
      if (change.from) needed.add(change.from)
    }
    /** Folders with a change that stays: later changes of theirs have to stay behind it. */
    const blocked = new Set<FolderNode>()
    let kept = 0
    for (const change of changes) {
      const folders = foldersOf(change)
      if (change.synced && !folders.some((each) => blocked.has(each))) {
        applyNameChange(change, (each) => each.durable)
        continue
      }
      for (const each of folders) blocked.add(each)
      changes[kept++] = change
    }
    changes.length = kept
  }

  /** Every file that has a name now. */
  files(): FileNode[] {
    const files = new Set<FileNode>()
    const visit = (folder: FolderNode): void => {
      for (const node of folder.entries.values()) {
        if (node.kind === 'file') files.add(node)
        else visit(node)
      }
    }
    visit(this.root)
    return [...files]
  }

  /** An independent disk in the same state: what was unsynced is unsynced there. */
  clone(): Disk {
    const clones = new Map<TreeNode, TreeNode>()
    const cloneNode = (node: TreeNode): TreeNode => {
      let clone = clones.get(node)
      if (clone) return clone
      clone = node.kind === 'file' ? cloneFile(node) : new FolderNode(node.path)
      clones.set(node, clone)
      if (node.kind === 'folder') {
        invariant(clone.kind === 'folder', 'the clone of a folder is a folder')
        for (const [name, child] of node.entries) clone.entries.set(name, cloneNode(child))
        for (const [name, child] of node.durable) clone.durable.set(name, cloneNode(child))
      }
      return clone
    }
    const cloneFolder = (folder: FolderNode): FolderNode => cloneNode(folder) as FolderNode
    const clonePlace = (place: Place | undefined): Place | undefined =>
      place && { folder: cloneFolder(place.folder), name: place.name }
    const root = cloneFolder(this.root)
    const changes = this.nameChanges.map(({ at, node, from, to, synced }): NameChange => {
      return { at, node: cloneNode(node), from: clonePlace(from), to: clonePlace(to), synced }
    })
    return new Disk(root, changes, this.#sequence)
  }
}

function cloneFile(node: FileNode): FileNode {
  const changes = node.changes.map((change) => ({ ...change }))
  return new FileNode(
    node.path,
    node.content.share(),
    node.durable.share(),
    changes,
    node.allocated,
  )
}

function foldersOf({ from, to }: NameChange): FolderNode[] {
  const folders: FolderNode[] = []
  if (from) folders.push(from.folder)
  if (to && to.folder !== from?.folder) folders.push(to.folder)
  return folders
}

function movePath(node: TreeNode, path: string): void {
  node.path = path
  if (node.kind === 'file') return
  for (const [name, child] of node.entries) movePath(child, node.pathOf(name))
}
