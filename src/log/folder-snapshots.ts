import { join } from 'node:path'
import { OFFSET_MAX, TidemarkError } from '../base/index.ts'
import type { File, Files } from '../io/index.ts'
import type { Snapshots } from './commit-log.ts'
import { removeIfThere } from './file-steps.ts'
import { ioError, withIoErrors } from './io-error.ts'
import { SNAPSHOT_FOLDER, TEMPORARY_SUFFIX } from './names.ts'
import { checkOffset } from './options.ts'
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

/** Snapshots as files in a folder beside the segments. */
export class FolderSnapshots implements Snapshots {
  readonly #files: Files
  readonly #folder: string
  readonly #checkWritable: () => void
  /** Snapshots begun since the log was opened. */
  #written = 0

  constructor(files: Files, logFolder: string, checkWritable: () => void) {
    this.#files = files
    this.#folder = join(logFolder, SNAPSHOT_FOLDER)
    this.#checkWritable = checkWritable
  }

  async list(): Promise<number[]> {
    if (!this.#files.existsSync(this.#folder)) return []
    const names = this.#files.listSync(this.#folder).map((name) => SNAPSHOT_NAME.exec(name))
    const offsets = names.flatMap((match) => (match ? [Number(match[1])] : []))
    return offsets.filter((offset) => offset <= OFFSET_MAX).sort((a, b) => a - b)
  }

  async write(
    offset: number,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    this.#checkWritable()
    const path = this.#path(checkOffset(offset, 'snapshot offset'))
    await withIoErrors(`write the snapshot ${path}`, async () => {
      await makeFolderDurably(this.#files, this.#folder)
      if (this.#written === 0) this.#removeLeftOver()
      // Two may be written at the same time, also for one offset: the later rename wins.
      const temporary = `${path}.${this.#written++}${TEMPORARY_SUFFIX}`
      await this.#writeFile(temporary, offset, chunks)
      this.#rename(temporary, path)
      await this.#files.syncDirectory(this.#folder)
    })
  }

  #rename(temporary: string, path: string): void {
    try {
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
      await writeFrames(file, offset, chunks)
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
    const path = this.#path(checkOffset(offset, 'snapshot offset'))
    if (!this.#files.existsSync(path)) {
      throw new TidemarkError(
        'NOT_FOUND',
        `there is no snapshot at offset ${offset} in ${this.#folder}`,
      )
    }
    const file = this.#files.openSync(path, 'read')
    try {
      yield* readFrames(file, path, offset)
    } catch (error) {
      throw ioError(`read the snapshot ${path}`, error)
    } finally {
      file.closeSync()
    }
  }

  async remove(offset: number): Promise<void> {
    this.#checkWritable()
    const path = this.#path(checkOffset(offset, 'snapshot offset'))
    await withIoErrors(`remove the snapshot ${path}`, async () => removeIfThere(this.#files, path))
  }

  #path(offset: number): string {
    return join(this.#folder, `${String(offset).padStart(20, '0')}.snapshot`)
  }
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
    for (let at = 0; at < chunk.length; at += FRAME_DATA_BYTES_MAX) {
      await put(chunk.subarray(at, at + FRAME_DATA_BYTES_MAX))
    }
  }
  await put(new Uint8Array(0))
}

async function* readFrames(file: File, path: string, offset: number): AsyncGenerator<Uint8Array> {
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
