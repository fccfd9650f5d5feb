// A folder of the simulated disk as text and back: what is committed is readable, and a change of the
// format shows as a difference of lines.

import type { Files } from '#dist/io/index.js'
import { ForgetfulFiles } from '#dist/simulation/index.js'

const LINE_BYTES = 16

/** The files of a folder by their path below it, sorted; what holds the lock is not part of the format. */
export function readFolder(files: Files, folder: string): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>()
  for (const name of files.listSync(folder).sort()) {
    const path = `${folder}/${name}`
    if (name === 'lock') continue
    if (name === 'snapshots') {
      for (const [inner, bytes] of readFolder(files, path)) found.set(`${name}/${inner}`, bytes)
    } else {
      found.set(name, readFile(files, path))
    }
  }
  return found
}

export function readFile(files: Files, path: string): Uint8Array {
  const file = files.openSync(path, 'read')
  try {
    const bytes = new Uint8Array(file.sizeSync())
    file.readSync(bytes, 0)
    return bytes
  } finally {
    file.closeSync()
  }
}

/** A disk that holds these files in `folder`. */
export function writeFolder(
  contents: ReadonlyMap<string, Uint8Array>,
  folder: string,
): ForgetfulFiles {
  const files = new ForgetfulFiles()
  files.makeFolderSync(folder)
  for (const [name, bytes] of contents) {
    if (name.startsWith('snapshots/')) files.makeFolderSync(`${folder}/snapshots`)
    const file = files.openSync(`${folder}/${name}`, 'create')
    file.writeSync(bytes, 0)
    file.closeSync()
  }
  return files
}

/** One file as lines of sixteen bytes, each behind its position. Lines of nothing but zeros are left out. */
export function hexLines(bytes: Uint8Array): string[] {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += LINE_BYTES) {
    const line = bytes.subarray(at, at + LINE_BYTES)
    if (line.every((byte) => byte === 0)) continue
    const hex = [...line].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex}`)
  }
  return lines
}

/** Puts lines as {@link hexLines} makes them into `bytes`. Anything behind three spaces is a remark. */
export function parseHexLines(lines: readonly string[], bytes: Uint8Array): void {
  for (const line of lines) {
    const match = /^([0-9a-f]{6}) {2}((?:[0-9a-f]{2} ?)+)(?: {2}.*)?$/.exec(line)
    if (!match) throw new Error(`not a line of a dump: "${line}"`)
    const hex = match[2]!.replaceAll(' ', '')
    bytes.set(Buffer.from(hex, 'hex'), Number.parseInt(match[1]!, 16))
  }
}

/** Files as text: a line `== name, n bytes` for each, then its bytes. */
export function dump(contents: ReadonlyMap<string, Uint8Array>): string {
  const lines: string[] = []
  for (const [name, bytes] of contents) {
    lines.push(`== ${name}, ${bytes.length} bytes`, ...hexLines(bytes))
  }
  return `${lines.join('\n')}\n`
}

/** What {@link dump} was made of. */
export function parseDump(text: string): Map<string, Uint8Array> {
  const contents = new Map<string, Uint8Array>()
  let bytes = new Uint8Array(0)
  for (const line of text.trimEnd().split('\n')) {
    const head = /^== (\S+), (\d+) bytes$/.exec(line)
    if (head) {
      bytes = new Uint8Array(Number(head[2]))
      contents.set(head[1]!, bytes)
    } else {
      parseHexLines([line], bytes)
    }
  }
  return contents
}
