import { join } from 'node:path'
import { invariant, TidemarkError } from '../base/index.ts'
import type { File, Files } from '../io/index.ts'
import {
  CURSOR_BYTES,
  CURSOR_SLOT_STRIDE,
  CURSOR_SLOTS,
  type CursorRecord,
  decodeCursor,
  encodeCursor,
  encodeSlot,
} from './cursor-format.ts'
import { readWholeSync, replaceFile, syncFileStep, syncFolderStep } from './file-steps.ts'
import { CURSOR_FOLDER, CURSOR_SUFFIX, isCursorName } from './names.ts'
import type { Steps } from './steps.ts'

/** Path of a cursor's file. */
export function cursorPath(logFolder: string, name: string): string {
  return join(logFolder, CURSOR_FOLDER, `${name}${CURSOR_SUFFIX}`)
}

/** Names of the cursors of a log, sorted. */
export function cursorNames(files: Files, logFolder: string): string[] {
  const folder = join(logFolder, CURSOR_FOLDER)
  if (!files.existsSync(folder)) return []
  const found = files.listSync(folder).filter((name) => name.endsWith(CURSOR_SUFFIX))
  return found
    .map((name) => name.slice(0, -CURSOR_SUFFIX.length))
    .filter(isCursorName)
    .sort()
}

/** The newest record of a cursor; undefined if there is no such cursor. Throws CORRUPT, UNSUPPORTED_VERSION. */
export function readCursor(
  files: Files,
  logFolder: string,
  name: string,
): CursorRecord | undefined {
  return readNewest(files, logFolder, name)?.record
}

function readNewest(files: Files, logFolder: string, name: string) {
  const path = cursorPath(logFolder, name)
  if (!files.existsSync(path)) return undefined
  const bytes = readWholeSync(files, path, CURSOR_BYTES)
  const result = bytes ? decodeCursor(bytes) : { problem: `not ${CURSOR_BYTES} bytes long` }
  if ('record' in result) return result
  const file = `${CURSOR_FOLDER}/${name}${CURSOR_SUFFIX}`
  if (result.version !== undefined) {
    throw new TidemarkError(
      'UNSUPPORTED_VERSION',
      `${path} has version ${result.version}, which this release does not know; use a newer release`,
      { file },
    )
  }
  throw new TidemarkError(
    'CORRUPT',
    `the cursor "${name}" of the log ${logFolder} is damaged: ${result.problem}. Nothing was changed; reset or delete it, or restore ${path}`,
    { file, position: 0 },
  )
}

/**
 * Puts a cursor at `position`, in one step that a crash leaves done or not done: to create it, to take
 * it back, or to replace a damaged one. No older position survives in the file.
 */
export function* writeCursor(
  files: Files,
  logFolder: string,
  name: string,
  position: number,
  now: number,
): Steps {
  const record = { sequence: CURSOR_SLOTS - 1, position, committedAt: now }
  yield* replaceFile(files, cursorPath(logFolder, name), encodeCursor(record))
  // The folder of cursors may have been made by someone who did not sync its name.
  yield syncFolderStep(files, logFolder)
}

/**
 * The file of a cursor that this process holds.
 *
 * Invariant: the newest record that is known to be on the disk is never overwritten, nor one that is
 * being synced. So whatever becomes of the writes since, that position is there after a crash.
 */
export class CursorFile {
  readonly path: string
  readonly #file: File
  #record: CursorRecord
  /** Where the newest record lies. */
  #slot: number
  /** The slot whose record is known to be on the disk. */
  #durable: number | undefined
  #syncing: number | undefined
  /** After a failed sync the kernel may have dropped the bytes: they are written again before the next. */
  #isDoubtful = true

  private constructor(path: string, file: File, record: CursorRecord, slot: number) {
    this.path = path
    this.#file = file
    this.#record = record
    this.#slot = slot
  }

  /** Opens the file of a cursor that is there. Throws CORRUPT, UNSUPPORTED_VERSION. */
  static open(files: Files, logFolder: string, name: string): CursorFile {
    const found = readNewest(files, logFolder, name)
    invariant(found, `the cursor ${name} is there when it is opened`)
    const path = cursorPath(logFolder, name)
    return new CursorFile(path, files.openSync(path, 'write'), found.record, found.slot)
  }

  get position(): number {
    return this.#record.position
  }

  /** When the position was committed, in ms since 1970. */
  get committedAt(): number {
    return this.#record.committedAt
  }

  get isSynced(): boolean {
    return this.#slot === this.#durable
  }

  /** Writes a new position, into the kernel: it survives the end of the process. */
  commit(position: number, now: number): void {
    invariant(this.#durable !== undefined, `${this.path} is synced before it is written to`)
    const record = { sequence: this.#record.sequence + 1, position, committedAt: now }
    const slot = this.#isKept(this.#slot) ? this.#freeSlot() : this.#slot
    this.#file.writeSync(encodeSlot(record), slot * CURSOR_SLOT_STRIDE)
    this.#record = record
    this.#slot = slot
  }

  #isKept(slot: number): boolean {
    return slot === this.#durable || slot === this.#syncing
  }

  #freeSlot(): number {
    let slot = 0
    while (this.#isKept(slot)) slot++
    invariant(slot < CURSOR_SLOTS, 'of three slots at most two are kept')
    return slot
  }

  /** Makes the newest position durable. One at a time. Fails with a SyncFailure. */
  *sync(): Steps {
    if (this.isSynced) return
    invariant(this.#syncing === undefined, `${this.path} is synced once at a time`)
    const slot = this.#slot
    this.#syncing = slot
    try {
      if (this.#isDoubtful) this.#rewrite()
      this.#isDoubtful = true
      yield syncFileStep(this.#file, this.path)
      this.#isDoubtful = false
      this.#durable = slot
    } finally {
      this.#syncing = undefined
    }
  }

  /** What another process has written, or a failed sync has left, may be in the page cache alone. */
  #rewrite(): void {
    this.#file.writeSync(encodeSlot(this.#record), this.#slot * CURSOR_SLOT_STRIDE)
  }

  close(): void {
    this.#file.closeSync()
  }
}
