import type { Files } from '../io/index.ts'
import { cursorNames, cursorPath, readCursor } from './cursor-file.ts'
import { syncFileStep } from './file-steps.ts'
import { stepsWithIoErrors } from './io-error.ts'
import type { Steps } from './steps.ts'
import type { WriterState } from './writer-state.ts'

/**
 * The lowest position of all cursors, of this process and of others, made durable; undefined without
 * cursors, or if the low-water mark is there already. Throws CORRUPT if one of them cannot be read: then
 * nobody knows what may go.
 */
export function* slowestCursor(w: WriterState): Steps<number | undefined> {
  const { files } = w.settings
  const names = cursorNames(files, w.folder)
  const positions = names.flatMap((name) => readCursor(files, w.folder, name)?.position ?? [])
  if (positions.length === 0) return undefined
  const lowest = Math.min(w.highWaterMark, ...positions)
  if (lowest <= w.lowWaterMark) return undefined
  // Invariant: a power loss takes no cursor back to below the low-water mark that followed it.
  for (const name of names) {
    const path = cursorPath(w.folder, name)
    yield* stepsWithIoErrors(`sync the cursor ${path}`, () => syncIfThere(files, path))
  }
  return lowest
}

function* syncIfThere(files: Files, path: string): Steps {
  if (!files.existsSync(path)) return
  const file = files.openSync(path, 'read')
  try {
    yield syncFileStep(file, path)
  } finally {
    file.closeSync()
  }
}
