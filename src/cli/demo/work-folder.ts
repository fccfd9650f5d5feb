import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { nodeFiles } from '../../io/index.ts'
import { quoted, UsageError } from '../arguments.ts'

/** The folder that a demo works in, and how to get rid of it: one that the user has named is kept. */
export function workFolder(dir: string | undefined): { folder: string; remove: () => void } {
  if (dir === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-demo-'))
    const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    return { folder, remove }
  }
  const folder = resolve(dir)
  // Node's own way down a path never comes back from one below /proc.
  nodeFiles.makeFolderSync(folder)
  if (readdirSync(folder).length > 0) {
    throw new UsageError(`--dir ${quoted(dir)} must be a new or an empty folder`)
  }
  return { folder, remove: () => {} }
}
