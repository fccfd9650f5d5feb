// What the tests of the log share: logs on simulated files, gates that hold operations back, and a look at,
// or a hand in, the bytes of a folder.
import assert from 'node:assert/strict'
import type { CommitLog, Entry, LogOptions, ReadOptions } from 'tidemark'
import { type ErrorCode, Log, TidemarkError } from 'tidemark'
import {
  errnoError,
  extremeImages,
  type FileFault,
  type FileOp,
  type FileOpKind,
  ForgetfulFiles,
  type ManualClock,
} from 'tidemark/testing'
import { viewOf } from '#dist/base/index.js'
import { type Clock, nodeClock } from '#dist/io/index.js'
import { EntryHeader } from '#dist/log/entry-format.js'

export const FOLDER = '/log'
export const SEGMENT_HEADER_BYTES = 64
export const ENTRY_HEADER_BYTES = 40

export type PlainOptions = Omit<LogOptions, 'codec'>

/**
 * The system's clock, on which nothing ever takes long: otherwise a slow machine would make the log
 * believe that memory is short, and write small things in the background too.
 */
const CALM: Clock = { ...nodeClock, monotonic: () => 0 }

/** Opens the log of simulated files. */
export function openOn(files: ForgetfulFiles, options: PlainOptions = {}): Promise<Log> {
  return Log.open(FOLDER, { clock: CALM, ...options, files })
}

/** Opens the log, lets `use` work with it, and closes it. */
export async function using<R>(
  files: ForgetfulFiles,
  options: PlainOptions,
  use: (log: Log) => Promise<R>,
): Promise<R> {
  const log = await openOn(files, options)
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}

export async function entriesOf<T>(
  log: Pick<CommitLog<T, never>, 'read'>,
  options?: ReadOptions,
): Promise<Entry<T>[]> {
  const entries: Entry<T>[] = []
  for await (const entry of log.read(options)) entries.push(entry)
  return entries
}

export async function textsOf(log: Log, options?: ReadOptions): Promise<string[]> {
  return (await entriesOf(log, options)).map((entry) => entry.data.toString())
}

/** `count` different texts, numbered from `first` on. */
export function someTexts(count: number, first = 0): string[] {
  return Array.from({ length: count }, (_, i) => `entry ${first + i}`)
}

/** Lets everything run that can run without the outside world. */
export async function settle(turns = 10): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}

/** A reader's barrier, which waits for the writer's marks, with the clock going on. */
export async function barrierOf(log: Log, clock: ManualClock): Promise<void> {
  const barrier = log.barrier()
  while (await isPending(barrier)) await clock.advance(1)
  await barrier
}

/** Says whether a promise is still pending once everything that can run has run. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true
  const ended = () => {
    pending = false
  }
  promise.then(ended, ended)
  await settle()
  return pending
}

/** Checks that `action` fails with a TidemarkError of this code, and returns it. */
export async function assertCode(
  code: ErrorCode,
  action: Promise<unknown> | (() => unknown),
): Promise<TidemarkError> {
  let caught: unknown
  try {
    await (typeof action === 'function' ? action() : action)
  } catch (error) {
    caught = error
  }
  assert(caught !== undefined, `expected ${code}, but nothing was thrown`)
  if (!(caught instanceof TidemarkError)) throw caught
  assert.equal(caught.code, code, caught.message)
  return caught
}

/** Holds asynchronous operations back until it is opened. */
export class Gate {
  readonly #match: (op: FileOp) => boolean
  #waiting: (() => void)[] = []
  #letsPass = false

  constructor(match: (op: FileOp) => boolean) {
    this.#match = match
  }

  readonly delay = async (op: FileOp): Promise<void> => {
    if (this.#letsPass || !this.#match(op)) return
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** How many operations wait. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** From now on lets pass what comes; what waits stays. */
  letPass(): void {
    this.#letsPass = true
  }

  /** Lets everything pass, now and later. */
  open(): void {
    this.#letsPass = true
    for (const resume of this.#waiting.splice(0)) resume()
  }

  /** Resolves when an operation waits at the gate. */
  async reached(): Promise<void> {
    for (let turn = 0; this.#waiting.length === 0; turn++) {
      assert(turn < 1000, 'nothing comes to the gate')
      await settle(1)
    }
  }
}

/** A gate for operations of one kind, whose path contains `part`, on both delays of the files. */
export function gateOn(files: ForgetfulFiles, kind: FileOpKind, part = ''): Gate {
  const gate = new Gate((op) => op.kind === kind && op.path.includes(part))
  files.syncDelay = gate.delay
  files.writeDelay = gate.delay
  return gate
}

/**
 * Makes operations of a kind fail whose path contains `part`: the first `times`, for good by default.
 * Returns how many have failed.
 */
export function failOn(
  files: ForgetfulFiles,
  kind: FileOpKind,
  part: string,
  code: string,
  times = Number.POSITIVE_INFINITY,
): { count: number } {
  const failed = { count: 0 }
  files.fault = (op): FileFault | undefined => {
    if (op.kind !== kind || !op.path.includes(part) || failed.count >= times) return undefined
    failed.count++
    return errnoError(code, kind, op.path)
  }
  return failed
}

/** The files after the worst crash at this moment: all that is not synced is lost. */
export function worstCrash(files: ForgetfulFiles): ForgetfulFiles {
  return extremeImages(files, 1)[0]!.files
}

/** The names of the stores, in order. */
export function storesOf(files: ForgetfulFiles, folder = FOLDER): string[] {
  return namesOf(files, '.store', folder)
}

export function namesOf(files: ForgetfulFiles, suffix: string, folder = FOLDER): string[] {
  return files
    .listSync(folder)
    .filter((name) => name.endsWith(suffix))
    .sort()
}

export function readFile(files: ForgetfulFiles, name: string, folder = FOLDER): Buffer {
  const file = files.openSync(`${folder}/${name}`, 'read')
  try {
    const bytes = Buffer.alloc(file.sizeSync())
    file.readSync(bytes, 0)
    return bytes
  } finally {
    file.closeSync()
  }
}

/** Replaces a file's bytes, or makes the file, and syncs it. */
export function writeFile(
  files: ForgetfulFiles,
  name: string,
  bytes: Uint8Array,
  folder = FOLDER,
): void {
  const path = `${folder}/${name}`
  const file = files.openSync(path, files.existsSync(path) ? 'write' : 'create')
  try {
    file.truncateSync(0)
    file.writeSync(bytes, 0)
    file.datasyncSync()
  } finally {
    file.closeSync()
  }
  files.syncDirectorySync(folder)
}

/** Changes a file's bytes in place. */
export function patchFile(
  files: ForgetfulFiles,
  name: string,
  change: (bytes: Buffer) => void,
): void {
  const bytes = readFile(files, name)
  change(bytes)
  writeFile(files, name, bytes)
}

/** Shortens or lengthens a file. */
export function resizeFile(files: ForgetfulFiles, name: string, size: number): void {
  const bytes = Buffer.alloc(size)
  readFile(files, name).copy(bytes)
  writeFile(files, name, bytes)
}

/** Every file of a folder with its bytes, to be compared: nothing may change them. */
export function everyFile(files: ForgetfulFiles, folder = FOLDER): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of files.listSync(folder).sort()) {
    if (name === 'snapshots') continue
    found[name] = readFile(files, name, folder).toString('hex')
  }
  return found
}

/** Where an entry lies in its store. */
export interface Place {
  readonly store: string
  readonly lsn: number
  readonly position: number
  readonly size: number
  readonly witness: number
  readonly term: number
}

/** The entries of a store as they lie there, read without the log. */
export function placesOf(files: ForgetfulFiles, store: string): Place[] {
  const bytes = readFile(files, store)
  const salt = bytes.readUInt32LE(8)
  const header = new EntryHeader()
  const view = viewOf(bytes)
  const places: Place[] = []
  let position = SEGMENT_HEADER_BYTES
  while (position + ENTRY_HEADER_BYTES <= bytes.length && header.read(view, position, salt)) {
    const { lsn, size, witness, term } = header
    places.push({ store, lsn, position, size, witness, term })
    position += size
  }
  return places
}

/** Flips one bit of an entry's data, or of its header if it has none. */
export function damageEntry(files: ForgetfulFiles, place: Place): void {
  const at = place.position + (place.size > ENTRY_HEADER_BYTES ? ENTRY_HEADER_BYTES : 0)
  patchFile(files, place.store, (bytes) => {
    bytes[at]! ^= 1
  })
}

/** The trace since `from` lines, of the operations that touch `part`. */
export function traceOf(files: ForgetfulFiles, part: string, from = 0): string[] {
  return files
    .trace()
    .slice(from)
    .filter((line) => line.includes(part))
}

export function newFiles(): ForgetfulFiles {
  return new ForgetfulFiles({ trace: true })
}
