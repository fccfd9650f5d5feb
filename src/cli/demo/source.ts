import { fstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MIB, TidemarkError } from '../../base/index.ts'
import { chunksOf, openInput } from '../input.ts'
import { LineSplitter } from '../lines.ts'

/** What the demo writes, over and over. */
export interface Source {
  /** Where the lines come from, in words. */
  readonly name: string
  readonly lines: readonly Buffer[]
}

const SOURCE_BYTES_MAX = 16 * MIB
const LINE_BYTES_MAX = MIB
/** A pipe that brings nothing for so long has nobody at its other end. */
const SILENCE_MS = 500
/** A pipe that never ends is read for so long. */
const READING_MS = 1500

const PACKAGE_ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const OWN_FILES = ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'docs', 'src', 'dist']
const OWN_ENDINGS = ['.md', '.ts', '.js']

/** The lines of `file`; without one those of standard input if any come, else this package's own. */
export async function demoSource(file: string, interrupted: AbortSignal): Promise<Source> {
  if (file !== '') {
    const lines = await read(file, interrupted)
    if (lines.length > 0) return { name: file, lines }
    throw new TidemarkError('NOT_FOUND', `${file} has no lines; give a file that has some`)
  }
  if (standardInputMayHaveLines()) {
    const lines = await readWhatComes(interrupted)
    if (lines.length > 0) return { name: 'standard input', lines }
  }
  return { name: "Tidemark's own files", lines: ownLines() }
}

/** True for a file, a pipe or a socket: a terminal or /dev/null has nothing for a demo. */
function standardInputMayHaveLines(): boolean {
  try {
    const stat = fstatSync(0)
    return stat.isFile() || stat.isFIFO() || stat.isSocket()
  } catch {
    return false
  }
}

async function readWhatComes(interrupted: AbortSignal): Promise<Buffer[]> {
  const enough = new AbortController()
  const stop = () => enough.abort()
  const silence = setTimeout(stop, SILENCE_MS)
  const reading = setTimeout(stop, READING_MS)
  try {
    const signal = AbortSignal.any([interrupted, enough.signal])
    return await read('-', signal, () => clearTimeout(silence))
  } finally {
    clearTimeout(silence)
    clearTimeout(reading)
  }
}

async function read(file: string, stop: AbortSignal, onChunk?: () => void): Promise<Buffer[]> {
  const input = await openInput(file)
  const splitter = new LineSplitter(LINE_BYTES_MAX)
  const lines: Buffer[] = []
  let bytes = 0
  for await (const chunk of chunksOf(input, stop)) {
    onChunk?.()
    splitter.push(chunk, lines)
    bytes += chunk.length
    if (bytes >= SOURCE_BYTES_MAX) return lines
  }
  const last = stop.aborted ? undefined : splitter.end()
  if (last) lines.push(last)
  return lines
}

function ownLines(): Buffer[] {
  const splitter = new LineSplitter(LINE_BYTES_MAX)
  const lines: Buffer[] = []
  for (const name of OWN_FILES) {
    for (const path of textFiles(join(PACKAGE_ROOT, name))) splitter.push(readFileSync(path), lines)
  }
  return lines
}

function textFiles(path: string): string[] {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat?.isFile()) return [path]
  if (!stat?.isDirectory()) return []
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => OWN_ENDINGS.some((ending) => name.endsWith(ending)))
    .sort()
    .map((name) => join(path, name))
    .filter((full) => statSync(full).isFile())
}
