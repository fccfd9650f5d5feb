// What the tests of the forgetful file system use to set up a state and to look at one.
import assert from 'node:assert/strict'
import { type File, type Random, seededRandom } from '#dist/io/index.js'
import {
  type CrashImage,
  crashImage,
  extremeImages,
  ForgetfulFiles,
} from '#dist/simulation/index.js'

/** A file's content in short: runs of equal bytes as letter and length, zeros as dots. */
export function runs(data: Uint8Array): string {
  const words: string[] = []
  for (let at = 0; at < data.length; ) {
    const start = at
    while (at < data.length && data[at] === data[start]) at++
    words.push(`${data[start] === 0 ? '.' : String.fromCharCode(data[start])}${at - start}`)
  }
  return words.join(' ')
}

/** Everything in a file system, as one string. */
export function describeFiles(files: ForgetfulFiles, folder = '/'): string {
  const lines: string[] = []
  for (const name of files.listSync(folder).sort()) {
    const path = folder === '/' ? `/${name}` : `${folder}/${name}`
    lines.push(
      isFolder(files, path) ? `${path}/ ${describeFiles(files, path)}` : oneFile(files, path),
    )
  }
  return lines.join('; ')
}

export function isFolder(files: ForgetfulFiles, path: string): boolean {
  try {
    files.listSync(path)
    return true
  } catch {
    return false
  }
}

function oneFile(files: ForgetfulFiles, path: string): string {
  return `${path}: ${runs(contentOf(files, path))}`
}

/** A file's content. */
export function contentOf(files: ForgetfulFiles, path: string): Uint8Array {
  const file = files.openSync(path, 'read')
  const data = new Uint8Array(file.sizeSync())
  assert.equal(file.readSync(data, 0), data.length)
  file.closeSync()
  return data
}

export function letters(letter: string, count: number): Uint8Array {
  return new Uint8Array(count).fill(letter.charCodeAt(0))
}

/** Every image that `count` random ones contain, as strings. */
export function sampled(files: ForgetfulFiles, count = 6000): Set<string> {
  const random = seededRandom(1)
  const seen = new Set<string>()
  for (let at = 0; at < count; at++) seen.add(describeFiles(crashImage(files, random).files))
  return seen
}

export function same(actual: Set<string>, expected: Iterable<string>): void {
  assert.deepEqual([...actual].sort(), [...new Set(expected)].sort())
}

/** A durable file `/f` with this content. */
export function durableFile(content: Uint8Array = new Uint8Array(0)): {
  files: ForgetfulFiles
  file: File
} {
  const files = new ForgetfulFiles()
  const file = files.openSync('/f', 'create')
  if (content.length > 0) file.writeSync(content, 0)
  file.datasyncSync()
  files.syncDirectorySync('/')
  return { files, file }
}

/** So many random images. */
export function seen(files: ForgetfulFiles, random: Random, count: number): CrashImage[] {
  return Array.from({ length: count }, () => crashImage(files, random))
}

/** The image in which nothing was lost. */
export function allKept(files: ForgetfulFiles): CrashImage {
  return extremeImages(files).find((image) => /^(all kept|nothing unsynced)$/.test(image.kind))!
}

export const bytes = (text: string) => new TextEncoder().encode(text)

/** A file's content as text, with zeros as dots. */
export function textOf(files: ForgetfulFiles, path: string): string {
  return new TextDecoder().decode(contentOf(files, path)).replaceAll('\0', '.')
}

/** What is left when a crash takes all that it can. */
export function worstCase(files: ForgetfulFiles): ForgetfulFiles {
  return extremeImages(files)[0]!.files
}

/** A file whose name is durable and whose content is `text`, not synced. */
export function named(files: ForgetfulFiles, path: string, text = ''): File {
  const file = files.openSync(path, 'create')
  files.syncDirectorySync('/')
  if (text) file.writeSync(bytes(text), 0)
  return file
}

/** A delay that ends when it is told to. */
export function gate(): { delay: () => Promise<void>; open: () => void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { delay: () => opened, open }
}
