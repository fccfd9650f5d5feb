import { basename, dirname, join } from 'node:path'
import { OFFSET_MAX, TidemarkError } from '../base/index.ts'
import type { File, Files, Random } from '../io/index.ts'
import type { Snapshots } from './commit-log.ts'
import { removeIfThere } from './file-steps.ts'
import { ioError, withIoErrors } from './io-error.ts'
import { SNAPSHOT_FOLDER, TEMPORARY_SUFFIX } from './names.ts'
import { checkInteger, checkOffset } from './options.ts'
import {
  decodeSnapshotHeader,
  encodeFrame,
  encodeSnapshotHeader,
  FRAME_DATA_BYTES_MAX,
  FRAME_HEADER_BYTES,
  frameChecksum,
  frameCrc,
  frameLength,
  SNAPSHOT_HEADER_BYTES,
  SNAPSHOT_VERSION,
  snapshotHeaderCrc,
} from './snapshot-format.ts'
import { unsupportedVersion } from './version.ts'

const SNAPSHOT_NAME = /^(\d{20})\.snapshot$/

/** The snapshots of a log by offset, each with its file's name in the log's folder. */
export function listSnapshots(
  files: Files,
  logFolder: string,
  own: string = SNAPSHOT_FOLDER,
): { offset: number; name: string }[] {
  const folder = join(logFolder, own)
  if (!files.existsSync(folder)) return []
  return files
    .listSync(folder)
    .map((name) => ({ offset: Number(SNAPSHOT_NAME.exec(name)?.[1] ?? Number.NaN), name }))
    .filter(({ offset }) => offset <= OFFSET_MAX)
    .sort((a, b) => a.offset - b.offset)
    .map(({ offset, name }) => ({ offset, name: join(own, name) }))
}

/** What the log that the snapshots belong to allows. */
export interface SnapshotRules {
  /** Throws CLOSED. */
  checkReadable(): void
  /** Throws CLOSED, READ_ONLY or POISONED. */
  checkWritable(): void
  /** The highest offset that there can be a state of. */
  offsetMax(): number
  /** Resolves when every entry below `offset` is on the disk. */
  makeDurable(offset: number): Promise<void>
}

/** Snapshots as files in a folder beside the segments. */
export class FolderSnapshots implements Snapshots {
  readonly #files: Files
  readonly #folder: string
  readonly #random: Random
  readonly #rules: SnapshotRules
  /** Snapshots begun since the log was opened. */
  #written = 0

  /** `own` is the name of the folder for them in the log's. */
  constructor(
    ports: { files: Files; random: Random },
    logFolder: string,
    rules: SnapshotRules,
    own: string = SNAPSHOT_FOLDER,
  ) {
    this.#files = ports.files
    this.#random = ports.random
    this.#folder = join(logFolder, own)
    this.#rules = rules
  }

  async list(): Promise<number[]> {
    this.#rules.checkReadable()
    return withIoErrors(`list the snapshots in ${this.#folder}`, async () =>
      listSnapshots(this.#files, dirname(this.#folder), basename(this.#folder)).map(
        ({ offset }) => offset,
      ),
    )
  }

  async write(
    offset: number,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    this.#rules.checkWritable()
    checkInteger(offset, 'snapshot offset', 0, this.#rules.offsetMax())
    const path = this.#path(offset)
    checkChunks(chunks)
    await withIoErrors(`write the snapshot ${path}`, async () => {
      await makeFolderDurably(this.#files, this.#folder)
      if (this.#written === 0) this.#removeLeftOver()
      // Two may be written at the same time, also for one offset, and one of them by a writer that closed
      // the log before its snapshot was done: the later rename wins, and no two share a name.
      const token = this.#random.uint32().toString(16).padStart(8, '0')
      const temporary = `${path}.${token}-${this.#written++}${TEMPORARY_SUFFIX}`
      await this.#writeFile(temporary, offset, chunks)
      // Invariant: a snapshot on the disk is never ahead of the log there. Under a policy that does not sync,
      // offsets would be used again after a loss of power, and a replay would pass over their new entries.
      await this.#rules.makeDurable(offset)
      this.#rename(temporary, path)
      await this.#files.syncDirectory(this.#folder)
    })
  }

  #rename(temporary: string, path: string): void {
    try {
      // Invariant: nothing changes in a log's folder after the log was closed.
      this.#rules.checkWritable()
      this.#files.renameSync(temporary, path)
    } catch (error) {
      removeIfThere(this.#files, temporary)
      throw error
    }
  }

  async #writeFile(
    path: string,
    offset: number,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    const file = this.#files.openSync(path, 'create')
    try {
      await writeFrames(file, offset, chunks, () => this.#rules.checkWritable())
      await file.datasync()
    } catch (error) {
      removeIfThere(this.#files, path)
      throw error
    } finally {
      file.closeSync()
    }
  }

  /** Removes what a writer has left that ended in the middle of a snapshot. */
  #removeLeftOver(): void {
    for (const name of this.#files.listSync(this.#folder)) {
      if (name.endsWith(TEMPORARY_SUFFIX)) removeIfThere(this.#files, join(this.#folder, name))
    }
  }

  async *read(offset: number): AsyncGenerator<Uint8Array> {
    this.#rules.checkReadable()
    const path = this.#path(checkOffset(offset, 'snapshot offset'))
    let file: File | undefined
    try {
      file = this.#open(path, offset)
      yield* readFrames(file, path, offset)
    } catch (error) {
      throw ioError(`read the snapshot ${path}`, error)
    } finally {
      file?.closeSync()
    }
  }

  #open(path: string, offset: number): File {
    if (this.#files.existsSync(path)) return this.#files.openSync(path, 'read')
    const message = `there is no snapshot at offset ${offset} in ${this.#folder}`
    throw new TidemarkError('NOT_FOUND', message)
  }

  async remove(offset: number): Promise<void> {
    this.#rules.checkWritable()
    const path = this.#path(checkOffset(offset, 'snapshot offset'))
    await withIoErrors(`remove the snapshot ${path}`, async () => removeIfThere(this.#files, path))
  }

  #path(offset: number): string {
    return join(this.#folder, `${String(offset).padStart(20, '0')}.snapshot`)
  }
}

/** A buffer is iterable too, but its elements are numbers. */
function checkChunks(chunks: unknown): void {
  const isIterable =
    typeof chunks === 'object' &&
    chunks !== null &&
    (Symbol.iterator in chunks || Symbol.asyncIterator in chunks)
  if (!isIterable || chunks instanceof Uint8Array) throw badChunks('the chunks', chunks)
}

function badChunks(what: string, found: unknown): TidemarkError {
  const isObject = typeof found === 'object' && found !== null
  const kind = isObject ? (found.constructor?.name ?? 'an object') : String(found)
  return new TidemarkError(
    'INVALID_ARGUMENT',
    `${what} of a snapshot must be ${what === 'a chunk' ? 'a Uint8Array' : 'an iterable of Uint8Array, such as [buffer]'}, not ${kind}`,
  )
}

/** Makes a folder and syncs the one it lies in, so that a crash does not take it away again. */
export async function makeFolderDurably(files: Files, folder: string): Promise<void> {
  const first = files.makeFolderSync(folder)
  if (first === undefined) return
  for (let made = folder; ; made = join(made, '..')) {
    await files.syncDirectory(join(made, '..'))
    if (made === first || made === join(made, '..')) return
  }
}

async function writeFrames(
  file: File,
  offset: number,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  checkWritable: () => void,
): Promise<void> {
  const header = encodeSnapshotHeader(offset)
  await file.write(header, 0)
  let position = header.length
  let crc = snapshotHeaderCrc(header)
  const put = async (data: Uint8Array) => {
    const frame = encodeFrame(data, crc)
    crc = frameChecksum(frame)
    await file.write(frame, position)
    position += frame.length
  }
  for await (const chunk of chunks) {
    checkWritable()
    if (!(chunk instanceof Uint8Array)) throw badChunks('a chunk', chunk)
    for (let at = 0; at < chunk.length; at += FRAME_DATA_BYTES_MAX) {
      await put(chunk.subarray(at, at + FRAME_DATA_BYTES_MAX))
    }
  }
  await put(new Uint8Array(0))
}

/** The data of a snapshot, each frame checked before it is handed out. */
export async function* readFrames(
  file: File,
  path: string,
  offset: number,
): AsyncGenerator<Uint8Array> {
  const header = new Uint8Array(SNAPSHOT_HEADER_BYTES)
  const result = decodeSnapshotHeader(header.subarray(0, await file.read(header, 0)))
  if ('problem' in result) {
    if (result.version === undefined) throw corrupt(path, 0, result.problem)
    throw unsupportedVersion(`the snapshot ${path}`, path, result.version, SNAPSHOT_VERSION)
  }
  if (result.offset !== offset) throw corrupt(path, 0, `it is for offset ${result.offset}`)
  let position = SNAPSHOT_HEADER_BYTES
  let crc = snapshotHeaderCrc(header)
  for (;;) {
    const head = new Uint8Array(FRAME_HEADER_BYTES)
    if ((await file.read(head, position)) < head.length) throw corrupt(path, position, 'ends here')
    const length = frameLength(head)
    if (length > FRAME_DATA_BYTES_MAX) throw corrupt(path, position, `a frame of ${length} bytes`)
    const frame = new Uint8Array(FRAME_HEADER_BYTES + length)
    const count = await file.read(frame, position)
    if (count < frame.length) throw corrupt(path, position, 'ends within a frame')
    if (frameCrc(frame, crc) !== frameChecksum(frame)) throw corrupt(path, position, 'checksum')
    if (length === 0 && position + frame.length !== file.sizeSync()) {
      throw corrupt(path, position + frame.length, 'there is more behind its end')
    }
    if (length === 0) return
    yield frame.subarray(FRAME_HEADER_BYTES)
    crc = frameChecksum(frame)
    position += frame.length
  }
}

function corrupt(path: string, position: number, problem: string): TidemarkError {
  const message = `the snapshot ${path} is damaged at position ${position}: ${problem}`
  return new TidemarkError('CORRUPT', message, { file: path, position })
}
