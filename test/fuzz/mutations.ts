// Changes to the files of a log: what a disk, a stray program or a person can do to them.

import type { Random } from '#dist/io/index.js'
import { entryPositions, kindOf, resealEntry, resealFile, resealFrame } from '../golden/reseal.ts'
import { below, oneOf } from './cases.ts'

export type Contents = Map<string, Uint8Array>

export interface Mutation {
  /** What was done, for whoever reads the failure. */
  readonly what: string
  /** Names of the files that are not as they were. */
  readonly names: readonly string[]
  /** True if checksums were made to fit: then any content may be a sound one. */
  readonly isResealed: boolean
}

export function copyContents(contents: ReadonlyMap<string, Uint8Array>): Contents {
  return new Map([...contents].map(([name, bytes]) => [name, bytes.slice()]))
}

export function sizeOf(contents: Contents): number {
  return [...contents.values()].reduce((sum, bytes) => sum + bytes.length, 0)
}

export function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.uint32())
}

interface Range {
  readonly from: number
  readonly to: number
}

/** A range of a file, more often a short one; sometimes it ends where the file does. */
function rangeIn(random: Random, length: number): Range {
  const from = below(random, length + 1)
  const rest = length - from
  const size = oneOf(random, [1, 4, 16, 64, 512, rest])
  return { from, to: from + Math.min(rest, size) }
}

function join(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

type Change = (random: Random, bytes: Uint8Array, contents: Contents) => Uint8Array

/** Changes of one file, whatever is in it. */
const CHANGES: Readonly<Record<string, Change>> = {
  'flip bits': (random, bytes) => {
    if (bytes.length === 0) return bytes
    for (let i = below(random, 8); i >= 0; i--) {
      bytes[below(random, bytes.length)]! ^= 1 << below(random, 8)
    }
    return bytes
  },
  'write random bytes': (random, bytes) => {
    const { from, to } = rangeIn(random, bytes.length)
    bytes.set(randomBytes(random, to - from), from)
    return bytes
  },
  'write zeros': (random, bytes) => {
    const { from, to } = rangeIn(random, bytes.length)
    return bytes.fill(0, from, to)
  },
  truncate: (random, bytes) => bytes.slice(0, below(random, bytes.length + 1)),
  extend: (random, bytes) => {
    const { from, to } = rangeIn(random, bytes.length)
    const size = 1 + below(random, 700)
    const more = [new Uint8Array(size), randomBytes(random, size), bytes.slice(from, to)]
    return join(bytes, oneOf(random, more))
  },
  'copy bytes of a file of the log over it': (random, bytes, contents) => {
    const source = contents.get(oneOf(random, [...contents.keys()]))!
    const { from, to } = rangeIn(random, source.length)
    const at = below(random, bytes.length + 1)
    bytes.set(source.slice(from, Math.min(to, from + bytes.length - at)), at)
    return bytes
  },
  'double a range': (random, bytes) => {
    const { from, to } = rangeIn(random, bytes.length)
    return join(bytes.slice(0, to), bytes.slice(from))
  },
  'take a range out': (random, bytes) => {
    const { from, to } = rangeIn(random, bytes.length)
    return join(bytes.slice(0, from), bytes.slice(to))
  },
  'replace all of it': (random, bytes) => randomBytes(random, below(random, bytes.length + 100)),
  'copy an entry to another place': (random, bytes) => {
    const [from, to] = twoEntries(random, bytes)
    if (from === undefined || to === undefined) return bytes
    const end = Math.min(nextEntry(bytes, from), from + bytes.length - to)
    bytes.set(bytes.slice(from, end), to)
    return bytes
  },
  'take an entry out': (random, bytes) => {
    const [at] = twoEntries(random, bytes)
    if (at === undefined) return bytes
    return join(bytes.slice(0, at), bytes.slice(nextEntry(bytes, at)))
  },
}

function twoEntries(random: Random, bytes: Uint8Array): (number | undefined)[] {
  const positions = entryPositions(bytes)
  if (positions.length === 0) return []
  return [oneOf(random, positions), oneOf(random, positions)]
}

function nextEntry(bytes: Uint8Array, at: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return Math.min(bytes.length, at + 40 + view.getUint32(at + 8, true))
}

/** Changes one file, some files, or what they are called; checksums are left as they come. */
export function mutate(random: Random, contents: Contents): Mutation {
  const names = [...contents.keys()]
  if (names.length === 0) return { what: 'nothing is left', names: [], isResealed: false }
  const name = oneOf(random, names)
  const other = oneOf(random, names)
  const roll = below(random, 20)
  const done = (what: string, ...changed: string[]) => {
    return { what, names: changed, isResealed: false }
  }
  if (roll === 0) {
    contents.delete(name)
    return done(`remove ${name}`, name)
  }
  if (roll === 1) {
    const bytes = contents.get(name)!
    contents.set(name, contents.get(other)!)
    contents.set(other, bytes)
    return done(`swap ${name} and ${other}`, name, other)
  }
  if (roll === 2) {
    const to = oneOf(random, [other, strangeName(random, name), strangeName(random, other)])
    contents.set(to, contents.get(name)!)
    if (to !== name && below(random, 2) === 0) contents.delete(name)
    return done(`name ${name} ${to}`, name, to)
  }
  const what = oneOf(random, Object.keys(CHANGES))
  contents.set(name, CHANGES[what]!(random, contents.get(name)!, contents))
  return done(`${what}: ${name}`, name)
}

function strangeName(random: Random, name: string): string {
  const digits = String(random.uint32()).padStart(20, oneOf(random, ['0', '9']))
  const id = random.uint32().toString(16).padStart(8, '0')
  return oneOf(random, [
    `${name}.tmp`,
    name.replace('-', '_'),
    `${digits}-${id}.store`,
    `${digits}-${id}.index`,
    name.replace(/^\d{20}/, digits),
    name.replace(/-[0-9a-f]{8}/, `-${id}`),
    `snapshots/${digits}.snapshot`,
    'something else',
  ])
}

type Field = readonly [at: number, bytes: 1 | 2 | 4 | 6 | 8]

const HEADER_FIELDS: Readonly<Record<string, readonly Field[]>> = {
  store: [
    ...([8, 12, 24, 28, 32, 36] as const).map((at) => [at, 4] as const),
    [4, 2],
    [6, 2],
    [16, 8],
    [40, 6],
    [46, 6],
    [52, 8],
  ],
  index: [
    [4, 2],
    [8, 4],
    [12, 4],
    [16, 4],
    [20, 6],
  ],
  meta: [
    [4, 2],
    [6, 2],
    [8, 8],
    [16, 4],
    [20, 4],
    [24, 8],
    [32, 4],
    [36, 4],
    [40, 6],
    [46, 8],
  ],
  marks: [
    [4, 4],
    [8, 8],
    [16, 8],
    [24, 4],
  ],
  snapshot: [
    [4, 2],
    [8, 8],
  ],
}

const ENTRY_FIELDS: readonly Field[] = [
  ...([0, 4, 8, 16, 20, 24, 28] as const).map((at) => [at, 4] as const),
  [32, 6],
  [38, 1],
  [39, 1],
]

const POINT_FIELDS: readonly Field[] = [
  [0, 4],
  [4, 4],
  [8, 6],
]

/** A value that a decoder might stumble over. */
function strangeValue(random: Random, was: bigint, bytes: number, fileBytes: number): bigint {
  const all = (1n << BigInt(8 * bytes)) - 1n
  const values = [
    0n,
    1n,
    2n,
    all,
    all - 1n,
    all >> 1n,
    (all >> 1n) + 1n,
    was + 1n,
    was - 1n,
    was + 40n,
    BigInt(fileBytes),
    BigInt(fileBytes) - 40n,
    BigInt(fileBytes) + 1n,
    (1n << 53n) - 1n,
    1n << 53n,
    BigInt(below(random, 100)),
    (BigInt(random.uint32()) << 32n) | BigInt(random.uint32()),
  ]
  return oneOf(random, values) & all
}

function setField(random: Random, b: Uint8Array, start: number, [at, bytes]: Field): string {
  const view = Buffer.from(b.buffer, b.byteOffset, b.length)
  let was = 0n
  for (let i = bytes - 1; i >= 0; i--) was = (was << 8n) | BigInt(view[start + at + i]!)
  let value = strangeValue(random, was, bytes, b.length)
  const what = `field at ${start}+${at} from ${was} to ${value}`
  for (let i = 0; i < bytes; i++, value >>= 8n) b[start + at + i] = Number(value & 0xffn)
  return what
}

/** Gives a field a value that no writer would give it, and the checksum that fits. */
export function mutateSealed(random: Random, contents: Contents): Mutation {
  const names = [...contents.keys()].filter((name) => kindOf(name) !== undefined)
  if (names.length === 0) return { what: 'nothing is left', names: [], isResealed: true }
  const name = oneOf(random, names)
  const kind = kindOf(name)!
  const b = contents.get(name)!
  const entries = kind === 'store' ? entryPositions(b) : []
  let what = 'nothing'
  if (entries.length > 0 && below(random, 3) > 0) {
    const at = oneOf(random, entries)
    what = setField(random, b, at, oneOf(random, ENTRY_FIELDS))
    resealEntry(b, at)
  } else if (kind === 'index' && b.length >= 48 && below(random, 3) > 0) {
    const at = 32 + 16 * below(random, Math.floor((b.length - 32) / 16))
    what = setField(random, b, at, oneOf(random, POINT_FIELDS))
    resealFile(kind, b)
  } else if (kind === 'snapshot' && b.length >= 32 && below(random, 2) > 0) {
    what = setField(random, b, 24, [0, 4])
    resealFrame(b, 24, new DataView(b.buffer, b.byteOffset).getUint32(20, true))
  } else if (b.length >= 64 || (kind !== 'store' && kind !== 'meta' && b.length >= 32)) {
    what = setField(random, b, 0, oneOf(random, HEADER_FIELDS[kind]!))
    resealFile(kind, b)
  }
  const changed = [name]
  if (kind === 'store' && b.length >= 64 && below(random, 2) === 0)
    changed.push(rename(contents, name))
  return { what: `${what}, resealed: ${changed.join(' now ')}`, names: changed, isResealed: true }
}

/** Gives a store the name that its header asks for, so that the header is believed. */
function rename(contents: Contents, name: string): string {
  const b = contents.get(name)!
  const view = new DataView(b.buffer, b.byteOffset)
  const base = String(view.getBigUint64(16, true)).padStart(20, '0')
  const to = `${base}-${view.getUint32(8, true).toString(16).padStart(8, '0')}.store`
  contents.delete(name)
  contents.set(to, b)
  return to
}
