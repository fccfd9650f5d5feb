// One bit of one file of a member.
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs'
import { join, sep } from 'node:path'
import type { Draws } from '#dist/testing/index.js'
import { storesOf } from './rot.ts'

export interface Bit {
  readonly path: string
  readonly at: number
  readonly mask: number
  /** What the byte is with the bit turned. */
  readonly turned: number
}

/** Any bit of any file below the logs of a member, each kind of file in turn, and stores more often. Turns it. */
export function turnAny(dir: string, draws: Draws): Bit {
  const logs = join(dir, 'logs')
  const files = readdirSync(logs, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => ({ path: join(parentPath, name), size: 0 }))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
  for (const file of files) file.size = sizeOf(file.path)
  const filled = files.filter(({ size }) => size > 0)
  const kinds = [...new Set(filled.map(({ path }) => kindOf(path)))].sort()
  const kind = draws.pick([...kinds, 'store', 'store'])
  const { path, size } = draws.pick(filled.filter((file) => kindOf(file.path) === kind))
  return turn(path, draws.integer(0, size - 1), 1 << draws.integer(0, 7))
}

/** A bit of these bytes, wherever they are in the stores of a log. Turns it; undefined if they are nowhere. */
export function turnIn(dir: string, log: string, bytes: Buffer, draws: Draws): Bit | undefined {
  const place = placeOf(dir, log, bytes)
  if (!place) return undefined
  const at = place.at + draws.integer(0, bytes.length - 1)
  return turn(place.path, at, 1 << draws.integer(0, 7))
}

/** Whether a member has these bytes in a store of a log. */
export function hasBytes(dir: string, log: string, bytes: Buffer): boolean {
  return placeOf(dir, log, bytes) !== undefined
}

/** Whether the bit is still as it was turned. */
export function isTurned({ path, at, turned }: Bit): boolean {
  if (!existsSync(path)) return false
  const byte = Buffer.alloc(1)
  const fd = openSync(path, 'r')
  try {
    return readSync(fd, byte, 0, 1, at) === 1 && byte[0] === turned
  } finally {
    closeSync(fd)
  }
}

/** What a file of a member's logs is there for. */
export function kindOf(path: string): string {
  if (path.includes(`${sep}snapshots${sep}`)) return 'snapshot'
  const isCatalog = path.includes(`${sep}logs${sep}0${sep}`)
  const kind = path.slice(Math.max(path.lastIndexOf('.'), path.lastIndexOf(sep)) + 1)
  return isCatalog ? `catalog ${kind}` : kind
}

export function turn(path: string, at: number, mask: number): Bit {
  const fd = openSync(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    readSync(fd, byte, 0, 1, at)
    byte[0]! ^= mask
    writeSync(fd, byte, 0, 1, at)
    return { path, at, mask, turned: byte[0]! }
  } finally {
    closeSync(fd)
  }
}

function placeOf(dir: string, log: string, bytes: Buffer) {
  for (const path of storesOf(dir, undefined, log)) {
    const at = readFileSync(path).indexOf(bytes)
    if (at >= 0) return { path, at }
  }
  return undefined
}

/** A file may go while a member runs. */
function sizeOf(path: string): number {
  if (!existsSync(path)) return 0
  const fd = openSync(path, 'r')
  try {
    return fstatSync(fd).size
  } finally {
    closeSync(fd)
  }
}
