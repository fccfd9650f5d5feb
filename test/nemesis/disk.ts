import { setTimeout as delay } from 'node:timers/promises'
import { type File, type Files, nodeFiles, type Random } from '#dist/io/index.js'
import { errnoError } from '#dist/simulation/index.js'
import { type Tracked, Unsynced } from './unsynced.ts'

/** What is wrong with a disk. */
export interface DiskState {
  /** Writes and new files fail with ENOSPC. */
  readonly isFull: boolean
  /** Syncs fail with EIO, and what they were to save is lost with the power, whatever syncs come later. */
  readonly failsToSync: boolean
  /** Each write and sync takes up to so much longer. */
  readonly delayMs: number
}

export const HEALTHY: DiskState = { isFull: false, failsToSync: false, delayMs: 0 }

const words = new Int32Array(new SharedArrayBuffer(4))

/** Real files on a disk that does what it is told: it is full, slow, fails to sync, or forgets what was not synced. */
export class Disk {
  state: DiskState = HEALTHY
  readonly files: Files
  readonly #unsynced: Unsynced
  readonly #random: Random

  constructor(graves: string, random: Random) {
    this.#unsynced = new Unsynced(graves)
    this.#random = random
    this.files = this.#wrapped()
  }

  /** As the power goes: whoever calls it ends the process at once. Returns how many changes are gone. */
  lose(): number {
    return this.#unsynced.lose(this.#random)
  }

  #delayMs(): number {
    const { delayMs } = this.state
    return delayMs === 0 ? 0 : this.#random.uint32() % delayMs
  }

  #waitSync(): void {
    const ms = this.#delayMs()
    if (ms > 0) Atomics.wait(words, 0, 0, ms)
  }

  async #wait(): Promise<void> {
    const ms = this.#delayMs()
    if (ms > 0) await delay(ms)
  }

  #checkRoom(path: string): void {
    if (this.state.isFull) throw errnoError('ENOSPC', 'write', path)
  }

  #checkSync(path: string): void {
    if (this.state.failsToSync) throw errnoError('EIO', 'fsync', path)
  }

  #wrapped(): Files {
    const unsynced = this.#unsynced
    return {
      ...nodeFiles,
      openSync: (path, mode) => {
        if (mode === 'create') this.#checkRoom(path)
        const file = nodeFiles.openSync(path, mode)
        if (mode === 'create') unsynced.created(path)
        return mode === 'read' ? file : this.#file(file, unsynced.of(path))
      },
      makeFolderSync: (folder) => {
        const made = nodeFiles.makeFolderSync(folder)
        if (made !== undefined) unsynced.madeFolder(made)
        return made
      },
      renameSync: (from, to) => {
        unsynced.renaming(from, to)
        nodeFiles.renameSync(from, to)
      },
      linkSync: (from, to) => {
        nodeFiles.linkSync(from, to)
        unsynced.linking(from, to)
      },
      removeSync: (path) => {
        unsynced.removing(path)
        nodeFiles.removeSync(path)
      },
      removeFolderSync: (folder) => {
        nodeFiles.removeFolderSync(folder)
        unsynced.removingFolder(folder)
      },
      syncDirectorySync: (folder) => {
        this.#waitSync()
        this.#checkSync(folder)
        const safe = unsynced.markFolder(folder)
        nodeFiles.syncDirectorySync(folder)
        unsynced.syncedFolder(safe)
      },
      syncDirectory: async (folder) => {
        const safe = unsynced.markFolder(folder)
        await this.#wait()
        this.#checkSync(folder)
        await nodeFiles.syncDirectory(folder)
        unsynced.syncedFolder(safe)
      },
    }
  }

  #file(file: File, tracked: Tracked): File {
    const unsynced = this.#unsynced
    return {
      readSync: (buffer, position) => file.readSync(buffer, position),
      read: (buffer, position) => file.read(buffer, position),
      writeSync: (buffer, position) => {
        this.#waitSync()
        this.#checkRoom(tracked.path)
        unsynced.changing(tracked, file, position, buffer.length)
        file.writeSync(buffer, position)
      },
      write: async (buffer, position) => {
        await this.#wait()
        this.#checkRoom(tracked.path)
        unsynced.changing(tracked, file, position, buffer.length)
        await file.write(buffer, position)
      },
      truncateSync: (size) => {
        const now = file.sizeSync()
        if (size > now) this.#checkRoom(tracked.path)
        unsynced.changing(tracked, file, Math.min(size, now), Math.max(0, now - size))
        file.truncateSync(size)
      },
      datasyncSync: () => {
        this.#waitSync()
        this.#sync(tracked)
        const { mark } = unsynced
        file.datasyncSync()
        unsynced.synced(tracked, mark)
      },
      datasync: async () => {
        const { mark } = unsynced
        await this.#wait()
        this.#sync(tracked)
        await file.datasync()
        unsynced.synced(tracked, mark)
      },
      sizeSync: () => file.sizeSync(),
      closeSync: () => file.closeSync(),
    }
  }

  /** After a failure the pages count as clean for the system: a later sync does not save them. */
  #sync(tracked: Tracked): void {
    if (!this.state.failsToSync) return
    this.#unsynced.stick(tracked)
    throw errnoError('EIO', 'fsync', tracked.path)
  }
}
