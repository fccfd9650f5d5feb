import { join } from 'node:path'
import type { File, Files } from '../io/index.ts'
import { readWholeSync, syncFileStep, writeStep } from './file-steps.ts'
import { decodeMarks, encodeMarks, MARKS_BYTES, type Marks } from './marks-format.ts'
import { MARKS_NAME } from './names.ts'
import type { LogSettings } from './options.ts'
import type { Steps } from './steps.ts'

/** Marks are written at most once in this time; readers in other processes lag by no more. */
const PUBLISH_INTERVAL_MS = 1

/** Of a replica, which moves its marks twice for each append, and which no other process reads. */
const REPLICA_INTERVAL_MS = 5

/** A log whose marks move again within this time is in use. */
const BUSY_MS = 100

/** The marks as they lie in the folder, or undefined if there are none that hold. */
export function readMarks(files: Files, folder: string): Marks | undefined {
  const bytes = readWholeSync(files, join(folder, MARKS_NAME), MARKS_BYTES)
  return bytes && decodeMarks(bytes)
}

/**
 * Keeps the marks file up to date: at once, or a moment later when it has just been written. The
 * file is not synced. It is opened for each write, so that an idle log keeps no descriptor for it.
 */
export class MarksPublisher {
  readonly #path: string
  readonly #settings: LogSettings
  readonly #current: () => Marks
  #publishedAt = Number.NEGATIVE_INFINITY
  #cancel: (() => void) | undefined
  #stopped = false
  /** The file, once a writer that blocks has needed it, or a replica in use. */
  #kept: File | undefined
  #isHeld = false
  #isDue = false

  constructor(folder: string, settings: LogSettings, current: () => Marks) {
    this.#path = join(folder, MARKS_NAME)
    this.#settings = settings
    this.#current = current
  }

  /** Says that the marks have changed. */
  changed(): void {
    if (this.#isHeld) {
      this.#isDue = true
      return
    }
    if (this.#cancel || this.#stopped) return
    const { clock, replica } = this.#settings
    const interval = replica ? REPLICA_INTERVAL_MS : PUBLISH_INTERVAL_MS
    const wait = this.#publishedAt + interval - clock.monotonic()
    if (wait <= 0) this.publish()
    else this.#cancel = clock.after(interval, () => this.publish())
  }

  /** Writes the marks now. A failure is harmless: the file can only be behind. */
  publish(): void {
    this.#cancel?.()
    this.#cancel = undefined
    const now = this.#settings.clock.monotonic()
    const isBusy = now - this.#publishedAt < BUSY_MS
    this.#publishedAt = now
    try {
      // A replica moves its marks twice for each append.
      if (this.#settings.replica && isBusy && !this.#stopped) this.#kept ??= this.#open()
      const file = this.#kept ?? this.#open()
      try {
        file.writeSync(encodeMarks(this.#current()), 0)
      } finally {
        if (file !== this.#kept) file.closeSync()
      }
    } catch {
      // What is there stays: marks that are too low, or torn ones, which say nothing.
    }
  }

  /**
   * Between this and {@link release} changes are only noted: for a writer that blocks, which is told of
   * several, and during which no timer fires.
   */
  hold(): void {
    this.#isHeld = true
  }

  /** Writes what has changed since {@link hold}. A writer that blocks does so often: its file stays open. */
  release(): void {
    this.#isHeld = false
    if (!this.#isDue) return
    this.#isDue = false
    if (this.#stopped) return
    try {
      this.#kept ??= this.#open()
    } catch {
      // As in publish.
    }
    this.publish()
  }

  /**
   * Writes the marks and syncs them, because they are lower than before: after a cut the old ones
   * would testify to entries that are rightly gone.
   */
  *lower(): Steps {
    const file = this.#open()
    try {
      yield writeStep(file, encodeMarks(this.#current()), 0)
      yield syncFileStep(file, this.#path)
    } finally {
      file.closeSync()
    }
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#stopped = true
    this.#kept?.closeSync()
    this.#kept = undefined
  }

  #open(): File {
    const { files } = this.#settings
    return files.openSync(this.#path, files.existsSync(this.#path) ? 'write' : 'create')
  }
}
