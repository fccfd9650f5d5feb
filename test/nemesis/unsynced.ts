// What a loss of power would take from real files: undone on demand, since kill -9 takes nothing from the page cache.
import { linkSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type File, nodeFiles, type Random } from '#dist/io/index.js'

/** One file, under whatever name; only what this process has written counts. */
export interface Tracked {
  path: string
  /** Oldest first: what was there before each write that is not synced. */
  undo: Undo[]
}

interface Undo {
  readonly number: number
  readonly position: number
  readonly length: number
  readonly old: Buffer
  readonly size: number
  isStuck: boolean
}

interface NameUndo {
  readonly folder: string
  readonly undo: () => void
  /** When it is safe. */
  readonly drop: () => void
}

/**
 * Remembers what was written and not synced, and what names were changed in folders that were not, and puts
 * some of it back to what it was. What a process before this one has left unsynced counts as safe.
 */
export class Unsynced {
  readonly #byPath = new Map<string, Tracked>()
  readonly #graves: string
  #names: NameUndo[] = []
  #buried = 0
  #changes = 0

  /** `graves` is a folder on the same disk, for files that were removed and whose removal is not safe. */
  constructor(graves: string) {
    this.#graves = graves
    rmSync(graves, { recursive: true, force: true })
    mkdirSync(graves, { recursive: true })
  }

  of(path: string): Tracked {
    const known = this.#byPath.get(path)
    if (known) return known
    const tracked: Tracked = { path, undo: [] }
    this.#byPath.set(path, tracked)
    return tracked
  }

  created(path: string): void {
    this.#byPath.delete(path)
    this.#names.push({
      folder: dirname(path),
      undo: () => rmSync(path, { force: true }),
      drop: () => {},
    })
  }

  madeFolder(path: string): void {
    this.#names.push({
      folder: dirname(path),
      undo: () => rmSync(path, { recursive: true, force: true }),
      drop: () => {},
    })
  }

  removing(path: string): void {
    const tracked = this.#byPath.get(path)
    this.#byPath.delete(path)
    this.#bury(path, tracked)
  }

  renaming(from: string, to: string): void {
    const replaced = this.#byPath.get(to)
    if (nodeFiles.existsSync(to)) this.#bury(to, replaced)
    const tracked = this.of(from)
    this.#byPath.delete(from)
    this.#byPath.set(to, tracked)
    tracked.path = to
    this.#names.push({
      folder: dirname(to),
      undo: () => {
        nodeFiles.renameSync(to, from)
        tracked.path = from
      },
      drop: () => {},
    })
  }

  /** The file has two names from now on. */
  linking(from: string, to: string): void {
    this.#byPath.set(to, this.of(from))
    this.created(to)
  }

  /** Before `length` bytes from `position` on are changed, or what lies behind a length that is set. */
  changing(tracked: Tracked, file: File, position: number, length: number): void {
    const size = file.sizeSync()
    const old = Buffer.alloc(Math.max(0, Math.min(size, position + length) - position))
    if (old.length > 0) file.readSync(old, position)
    for (const one of tracked.undo) {
      if (one.isStuck && isWithin(one, position, length)) one.isStuck = false
    }
    tracked.undo.push({ number: ++this.#changes, position, length, old, size, isStuck: false })
  }

  /** Everything up to now, for {@link synced}. */
  get mark(): number {
    return this.#changes
  }

  synced(tracked: Tracked, mark: number): void {
    tracked.undo = tracked.undo.filter(({ number, isStuck }) => isStuck || number > mark)
  }

  /** A sync has failed: what it was to save is not saved by any later one, but when it is written again. */
  stick(tracked: Tracked): void {
    for (const one of tracked.undo) one.isStuck = true
  }

  removingFolder(path: string): void {
    this.#names.push({
      folder: dirname(path),
      undo: () => mkdirSync(path, { recursive: true }),
      drop: () => {},
    })
  }

  markFolder(folder: string): NameUndo[] {
    return this.#names.filter((one) => one.folder === folder)
  }

  syncedFolder(safe: readonly NameUndo[]): void {
    const gone = new Set(safe)
    this.#names = this.#names.filter((one) => !gone.has(one))
    for (const one of safe) one.drop()
  }

  /** Puts back the newest part of what is not safe, in each file and of all names; every other time all of it. */
  lose(random: Random): number {
    let lost = 0
    const kept = (count: number) => (random.uint32() % 2 === 0 ? 0 : random.uint32() % (count + 1))
    for (const tracked of new Set(this.#byPath.values())) {
      const { undo } = tracked
      const undone = undo.splice(kept(undo.length))
      for (const one of undone.reverse()) revert(tracked.path, one)
      lost += undone.length
    }
    const names = this.#names.splice(kept(this.#names.length))
    for (const { undo } of names.reverse()) undo()
    return lost + names.length
  }

  #bury(path: string, tracked: Tracked | undefined): void {
    const grave = join(this.#graves, String(this.#buried++))
    linkSync(path, grave)
    if (tracked) tracked.path = grave
    this.#names.push({
      folder: dirname(path),
      undo: () => {
        nodeFiles.renameSync(grave, path)
        if (tracked) tracked.path = path
      },
      drop: () => rmSync(grave, { force: true }),
    })
    if (tracked) this.#byPath.set(grave, tracked)
  }
}

/** Whether a change is written over as a whole: what it put there is of no account any more. */
function isWithin({ position, length }: Undo, from: number, count: number): boolean {
  return position >= from && position + length <= from + count
}

function revert(path: string, { position, old, size }: Undo): void {
  if (!nodeFiles.existsSync(path)) return
  const file = nodeFiles.openSync(path, 'write')
  try {
    if (old.length > 0) file.writeSync(old, position)
    file.truncateSync(size)
  } finally {
    file.closeSync()
  }
}
