import { once } from 'node:events'
import { createReadStream, fstatSync, statSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { errnoOf, KIB, TidemarkError } from '../base/index.ts'

/** What a command reads: a file that the user named, or standard input. */
export interface Input {
  readonly name: string
  readonly stream: Readable
}

const FILE_CHUNK_BYTES = 256 * KIB

/** Opens `file`, or standard input for the empty string and `-`. Throws NOT_FOUND or IO. */
export async function openInput(file: string): Promise<Input> {
  const isStandard = file === '' || file === '-'
  const name = isStandard ? 'standard input' : file
  try {
    // The runtime takes a folder for an empty stream, or opens it and fails when it is read.
    const stat = isStandard ? fstatSync(0) : statSync(file)
    if (stat.isDirectory()) throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' })
    if (isStandard) return { name, stream: process.stdin }
    const stream = createReadStream(file, { highWaterMark: FILE_CHUNK_BYTES })
    await once(stream, 'ready')
    return { name, stream }
  } catch (error) {
    throw inputError(name, error)
  }
}

/**
 * The bytes of an input as they come. Ends early, without an error, when `stop` is aborted; a failure
 * to read throws IO.
 */
export async function* chunksOf(input: Input, stop: AbortSignal): AsyncGenerator<Buffer> {
  const { stream } = input
  const end = () => stream.destroy()
  stop.addEventListener('abort', end)
  try {
    if (stop.aborted) return
    for await (const chunk of stream) yield chunk as Buffer
  } catch (error) {
    // Destroying a stream makes its iterator fail.
    if (!stop.aborted) throw inputError(input.name, error)
  } finally {
    stop.removeEventListener('abort', end)
    stream.destroy()
  }
}

function inputError(name: string, error: unknown): TidemarkError {
  if (errnoOf(error) === 'ENOENT') {
    return new TidemarkError('NOT_FOUND', `there is no file ${name} to read`, {}, error)
  }
  const why = error instanceof Error ? error.message : String(error)
  return new TidemarkError('IO', `cannot read ${name}: ${why}`, {}, error)
}
