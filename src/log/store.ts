import { KIB, MIB } from '../base/index.ts'
import type { Clock, File, Files } from '../io/index.ts'
import { SyncFailure, writeStep } from './file-steps.ts'
import type { Step, Steps } from './steps.ts'

/** From this size on a write goes through the thread pool: copying it would block for too long. */
const ASYNC_WRITE_BYTES = MIB
/** A blocking write that took longer than this shows memory pressure... */
const SLOW_WRITE_MS = 2
/** ...and for so long afterwards every write goes through the thread pool. */
const PRESSURE_MS = 20

/** Space is reserved in steps as large as what was written until now, within these bounds. */
const RESERVE_BYTES_MIN = 16 * KIB
const RESERVE_BYTES_MAX = 256 * KIB
const ZEROS = new Uint8Array(RESERVE_BYTES_MAX)
/** Writes from this size on are followed by a hole, so long that the file's length seldom changes. */
const HOLE_FROM_BYTES = RESERVE_BYTES_MAX / 2
const HOLE_BYTES = 8 * MIB

/**
 * The store of the active segment, open for writing. It knows bytes only, not entries.
 *
 * Space ahead of the entries is reserved by writing zeros, or a hole where writes are large: a sync that
 * need not change the file's length is about twice as fast, and zeros are never a valid entry.
 */
export class Store {
  readonly path: string
  readonly #files: Files
  readonly #clock: Clock
  readonly #file: File
  /** A descriptor of its own for blocking syncs: the kernel reports an error once for each. */
  #blockingFile: File | undefined
  /** Bytes of the file that exist, written or reserved. */
  #allocated: number
  #pressureUntil = 0
  /** Asynchronous operations under way; the descriptors stay open until there are none. */
  #underWay = 0
  #writing = 0
  #closing = false
  /** Says that an asynchronous operation has ended. */
  readonly #ended = (): void => {
    this.#underWay--
    if (this.#closing && this.#underWay === 0) this.close()
  }

  constructor(files: Files, clock: Clock, path: string) {
    this.path = path
    this.#files = files
    this.#clock = clock
    this.#file = files.openSync(path, 'write')
    this.#allocated = this.#file.sizeSync()
  }

  get allocated(): number {
    return this.#allocated
  }

  /**
   * Writes `bytes` at `position`; blocks only for what is small and goes to memory. If that made the
   * file longer, space is reserved behind it, up to `reserveLimit` bytes of file.
   */
  *write(bytes: Uint8Array, position: number, reserveLimit: number): Steps {
    const begun = this.#clock.monotonic()
    if (bytes.length >= ASYNC_WRITE_BYTES || begun < this.#pressureUntil) {
      yield this.#writeStep(bytes, position)
    } else {
      this.#file.writeSync(bytes, position)
      const ended = this.#clock.monotonic()
      if (ended - begun > SLOW_WRITE_MS) this.#pressureUntil = ended + PRESSURE_MS
    }
    const end = position + bytes.length
    if (end <= this.#allocated) return
    this.#allocated = end
    if (bytes.length < HOLE_FROM_BYTES) this.#reserve(end, reserveLimit)
    else this.#reserveHole(end, reserveLimit)
  }

  /** Where writes are large, zeros would cost more than they save. A hole fixes the file's length alone. */
  #reserveHole(from: number, limit: number): void {
    const size = Math.min(HOLE_BYTES, limit - from)
    if (size <= 0) return
    try {
      this.#file.truncateSync(from + size)
      this.#allocated = from + size
    } catch {
      // As in #reserve.
    }
  }

  #reserve(from: number, limit: number): void {
    const step = Math.min(RESERVE_BYTES_MAX, Math.max(RESERVE_BYTES_MIN, from))
    const size = Math.min(step, limit - from)
    if (size <= 0) return
    try {
      this.#file.writeSync(ZEROS.subarray(0, size), from)
      this.#allocated = from + size
    } catch {
      // No space to reserve is no failure: the write itself will say so if it has none either.
    }
  }

  /** A step that makes all that was written durable. It fails with a SyncFailure. */
  sync(lateFailure: (error: unknown) => void): Step {
    return {
      run: () => this.datasync(),
      runSync: () => {
        try {
          this.#blocking().datasyncSync()
        } catch (error) {
          throw new SyncFailure(this.path, error)
        }
      },
      lateFailure,
    }
  }

  /** The same outside of any sequence, for syncs on a timer. */
  datasync(): Promise<void> {
    this.#underWay++
    return this.#file.datasync().then(this.#ended, (error) => {
      this.#ended()
      throw new SyncFailure(this.path, error)
    })
  }

  /** Cuts the file to `size` bytes and checks that it is. */
  truncate(size: number): void {
    this.#file.truncateSync(size)
    const now = this.#file.sizeSync()
    if (now !== size) throw new Error(`${this.path} has ${now} bytes after it was cut to ${size}`)
    this.#allocated = size
  }

  /** True while a write is under way: one that the blocking driver has overtaken, if asked in between. */
  get isWriting(): boolean {
    return this.#writing > 0
  }

  /** Closes the descriptors, at once or when the last operation under way has ended. */
  close(): void {
    this.#closing = true
    if (this.#underWay > 0) return
    this.#file.closeSync()
    this.#blockingFile?.closeSync()
  }

  #blocking(): File {
    this.#blockingFile ??= this.#files.openSync(this.path, 'write')
    return this.#blockingFile
  }

  #writeStep(bytes: Uint8Array, position: number): Step {
    const step = writeStep(this.#file, bytes, position)
    const ended = () => {
      this.#writing--
      this.#ended()
    }
    return {
      run: () => {
        this.#writing++
        this.#underWay++
        return step.run().finally(ended)
      },
      runSync: () => step.runSync(),
    }
  }
}
