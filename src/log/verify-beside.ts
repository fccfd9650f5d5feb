import { join } from 'node:path'
import { errnoOf, TidemarkError } from '../base/index.ts'
import type { Files } from '../io/index.ts'
import { cursorNames, readCursor } from './cursor-file.ts'
import { listSnapshots, readFrames } from './folder-snapshots.ts'

interface Place {
  readonly files: Files
  readonly path: string
  readonly signal: AbortSignal | undefined
}

type Add = (file: string, position: number, offset: number, problem: string) => void

/** Checks what lies beside the segments of a log: each snapshot to its end, and each cursor. */
export async function verifyBeside(place: Place, add: Add): Promise<void> {
  const { files, path, signal } = place
  for (const { offset, name } of listSnapshots(files, path)) {
    signal?.throwIfAborted()
    await collect(name, offset, add, () => readSnapshot(place, name, offset))
  }
  for (const name of cursorNames(files, path)) {
    await collect(`cursor ${name}`, 0, add, async () => {
      readCursor(files, path, name)
    })
  }
}

/** Damage is added to what was found; what was removed since it was listed is none. */
async function collect(
  name: string,
  offset: number,
  add: Add,
  check: () => Promise<void>,
): Promise<void> {
  try {
    await check()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    if (!(error instanceof TidemarkError && error.code === 'CORRUPT')) throw error
    const { file = name, position = 0 } = error.details
    add(file, position, offset, error.message)
  }
}

async function readSnapshot(
  { files, path, signal }: Place,
  name: string,
  offset: number,
): Promise<void> {
  const file = files.openSync(join(path, name), 'read')
  try {
    for await (const _ of readFrames(file, name, offset)) signal?.throwIfAborted()
  } finally {
    file.closeSync()
  }
}

/**
 * Notes the cursors that stand beyond the end of a log which nobody writes: a power loss took the entries
 * and left the commits, which the next writer takes back. It is no damage.
 */
export function noteCursorsBeyond(files: Files, path: string, end: number, notes: string[]): void {
  for (const name of cursorNames(files, path)) {
    const position = positionOf(files, path, name)
    if (position === undefined || position <= end) continue
    notes.push(
      `cursor "${name}" is at ${position}, beyond the end ${end}; the next writer takes it back`,
    )
  }
}

/** Undefined where it cannot be read, which has been reported as damage. */
function positionOf(files: Files, path: string, name: string): number | undefined {
  try {
    return readCursor(files, path, name)?.position
  } catch {
    return undefined
  }
}
