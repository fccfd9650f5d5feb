import { hash } from 'node:crypto'

// The bytes of files in the forgetful file system: what they are now, what a crash cannot take away, and
// the ordered changes between the two.

/** Bytes of a file. The array may be shared with other contents; then it is copied before a change. */
export class Content {
  /** Invariant: zero from `size` on. */
  array: Uint8Array
  size: number
  #shared: boolean
  #digest: string | undefined

  constructor(array: Uint8Array = EMPTY, size = array.length, shared = true, digest?: string) {
    this.array = array
    this.size = size
    this.#shared = shared
    this.#digest = digest
  }

  /** The same bytes, from now on independent of these. Costs nothing until one of the two changes. */
  share(): Content {
    this.#shared = true
    return new Content(this.array, this.size, true, this.#digest)
  }

  write(position: number, bytes: Uint8Array): void {
    const end = position + bytes.length
    this.#own(end)
    this.array.set(bytes, position)
    if (end > this.size) this.size = end
  }

  resize(size: number): void {
    if (size === this.size) return
    const before = this.size
    this.size = Math.min(size, before)
    this.#own(size)
    if (size < before) this.array.fill(0, size, Math.min(before, this.array.length))
    this.size = size
  }

  /** A hash over the bytes, remembered until they change. */
  digest(): string {
    this.#digest ??= hash('sha1', this.array.subarray(0, this.size), 'hex')
    return this.#digest
  }

  /** Makes the array safe to change, and at least `bytes` long. */
  #own(bytes: number): void {
    this.#digest = undefined
    const room = this.array.length
    if (!this.#shared && bytes <= room) return
    const wanted = bytes <= room ? Math.max(bytes, this.size) : Math.max(bytes, 2 * this.size)
    const array = new Uint8Array(wanted)
    array.set(this.array.subarray(0, this.size))
    this.array = array
    this.#shared = false
  }
}

const EMPTY = new Uint8Array(0)

/**
 * `pending`: the next datasync saves it. `doomed`: a write whose datasync failed; it is in the cache,
 * counts as clean, and no datasync will save it. `synced`: safe, but listed behind a doomed one, because the
 * two must be applied in this order.
 */
export type ChangeState = 'pending' | 'doomed' | 'synced'

/** A write (with `bytes`, at `position`) or a truncation (without, to the length `position`). */
export interface FileChange {
  /** Place in the order of all changes of the file system, names included. */
  readonly at: number
  readonly position: number
  readonly bytes: Uint8Array | undefined
  state: ChangeState
}

export function applyChange(content: Content, change: FileChange): void {
  if (change.bytes) content.write(change.position, change.bytes)
  else content.resize(change.position)
}

/**
 * A file, independent of its names.
 *
 * Invariant: `durable` with all `changes` applied in order is `content`.
 */
export class FileNode {
  readonly kind = 'file'
  /** Under which it was last linked; for messages and hooks. */
  path: string
  readonly content: Content
  readonly durable: Content
  readonly changes: FileChange[]
  /** Bytes that take up space: a length beyond that was only set, and is a hole. */
  allocated: number
  /** How many syncs have failed, and the last error: Linux reports it once to each open file. */
  syncFailures = 0
  syncError: Error | undefined

  constructor(
    path: string,
    content: Content,
    durable: Content,
    changes: FileChange[],
    allocated: number,
  ) {
    this.path = path
    this.content = content
    this.durable = durable
    this.changes = changes
    this.allocated = allocated
  }

  write(at: number, position: number, source: Uint8Array): void {
    // Not `slice`: on a Buffer that shares the memory, which its owner will use again.
    const bytes = new Uint8Array(source)
    this.content.write(position, bytes)
    this.allocated = Math.max(this.allocated, position + bytes.length)
    this.changes.push({ at, position, bytes, state: 'pending' })
  }

  truncate(at: number, size: number): void {
    this.content.resize(size)
    this.allocated = Math.min(this.allocated, size)
    this.changes.push({ at, position: size, bytes: undefined, state: 'pending' })
  }

  /** Saves the pending changes made before `before`. */
  sync(before: number): void {
    const changes = this.changes
    let doomed = false
    for (const change of changes) {
      if (change.at < before && change.state === 'pending') change.state = 'synced'
      doomed ||= change.state === 'doomed'
    }
    if (doomed) this.#dropOverwritten()
    let count = 0
    while (count < changes.length && changes[count]!.state === 'synced') {
      applyChange(this.durable, changes[count]!)
      count++
    }
    changes.splice(0, count)
  }

  /**
   * What a failed sync does to the pending writes made before `before`. A length that was set stays
   * pending: the cache forgets that pages are dirty, while metadata goes through the journal.
   */
  failSync(before: number, error: Error): void {
    for (const change of this.changes) {
      if (change.bytes && change.at < before && change.state === 'pending') change.state = 'doomed'
    }
    this.syncFailures++
    this.syncError = error
  }

  /** Drops doomed writes that cannot matter any more, because synced changes behind them settle the bytes. */
  #dropOverwritten(): void {
    const changes = this.changes
    for (let index = changes.length - 1; index >= 0; index--) {
      if (changes[index]!.state === 'doomed' && isOverwritten(changes, index))
        changes.splice(index, 1)
    }
  }
}

/**
 * True if nothing that the write at `index` does can be seen once the synced changes behind it are
 * applied: they write, or cut off, all of its bytes. (Those that leave holes may be missed.)
 */
function isOverwritten(changes: readonly FileChange[], index: number): boolean {
  let start = changes[index]!.position
  let end = endOf(changes[index]!)
  for (let later = index + 1; later < changes.length && start < end; later++) {
    const change = changes[later]!
    if (change.state !== 'synced') continue
    const changeEnd = change.bytes ? endOf(change) : Number.POSITIVE_INFINITY
    if (change.position <= start && changeEnd > start) start = changeEnd
    if (change.position < end && changeEnd >= end) end = change.position
  }
  return start >= end
}

function endOf({ position, bytes }: FileChange): number {
  return position + (bytes?.length ?? 0)
}
