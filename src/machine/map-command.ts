import { getU16, getU32, getU48, setU16, setU32, setU48 } from '../base/index.ts'
import type { Pair } from './record.ts'
import { UnreadableCommand } from './unreadable.ts'

// What a durable map puts into its log: an operation, then its changes. Each change is 13 bytes (flags, 6 of
// time to live, 2 of key length, 4 of value length), the key and the value. docs/format.md is its page.

export const OPERATION = {
  /** One change. */
  set: 1,
  /** One change, without a value. */
  delete: 2,
  /** Two: what must be there, and what then shall be. */
  compareAndSet: 3,
  /** A number (4 bytes), and so many changes. */
  setMany: 4,
} as const

const HAS_VALUE = 1
const HAS_TTL = 2
const CHANGE_BYTES = 13

/** What a command shall do to a key: set it, or delete it where there is no value. */
export interface Change {
  readonly key: Uint8Array | string
  readonly value: Uint8Array | string | undefined
  /** The record ends so many ms after the command, by log time. */
  readonly ttlMs: number | undefined
}

/** A change as it lies in a command: the key and the value are views by position, and nothing is copied. */
export interface ChangeView extends Pair {
  readonly hasValue: boolean
  readonly ttlMs: number | undefined
}

/** A command in `headBytes` of room for a head, and behind it the operation and its changes. */
export function encodeMapCommand(
  headBytes: number,
  operation: number,
  changes: readonly Change[],
): Buffer {
  const isMany = operation === OPERATION.setMany
  const before = headBytes + (isMany ? 5 : 1)
  let length = before
  for (const { key, value } of changes) {
    length += CHANGE_BYTES + lengthOf(key) + (value === undefined ? 0 : lengthOf(value))
  }
  const b = Buffer.allocUnsafe(length)
  b[headBytes] = operation
  if (isMany) setU32(b, headBytes + 1, changes.length)
  let at = before
  for (const change of changes) at = writeChange(b, at, change)
  return b
}

function lengthOf(data: Uint8Array | string): number {
  return typeof data === 'string' ? Buffer.byteLength(data) : data.length
}

/** Returns the number of bytes. */
function write(b: Buffer, at: number, data: Uint8Array | string): number {
  if (typeof data === 'string') return b.write(data, at)
  b.set(data, at)
  return data.length
}

function writeChange(b: Buffer, at: number, { key, value, ttlMs }: Change): number {
  b[at] = (value === undefined ? 0 : HAS_VALUE) | (ttlMs === undefined ? 0 : HAS_TTL)
  setU48(b, at + 1, ttlMs ?? 0)
  const keyBytes = write(b, at + CHANGE_BYTES, key)
  const valueBytes = value === undefined ? 0 : write(b, at + CHANGE_BYTES + keyBytes, value)
  setU16(b, at + 7, keyBytes)
  setU32(b, at + 9, valueBytes)
  return at + CHANGE_BYTES + keyBytes + valueBytes
}

/** The operation of a command. Throws CORRUPT where this is no command of a map. */
export function operationOf(b: Buffer): number {
  const operation = b[0] ?? 0
  if (operation >= OPERATION.set && operation <= OPERATION.setMany) return operation
  throw notACommand(`operation ${operation}`)
}

/** The changes of a command. Throws CORRUPT if they are not what the command's length says. */
export function changesOf(b: Buffer, operation: number): ChangeView[] {
  const isMany = operation === OPERATION.setMany
  if (isMany && b.length < 5) throw notACommand('it ends too early')
  const count = isMany ? getU32(b, 1) : operation === OPERATION.compareAndSet ? 2 : 1
  const changes: ChangeView[] = []
  let at = isMany ? 5 : 1
  for (let i = 0; i < count; i++) {
    const change = changeAt(b, at)
    changes.push(change)
    at = change.from + change.keyBytes + change.valueBytes
  }
  if (at !== b.length) throw notACommand(`${b.length - at} bytes behind it`)
  return changes
}

function changeAt(bytes: Buffer, at: number): ChangeView {
  if (at + CHANGE_BYTES > bytes.length) throw notACommand('it ends too early')
  const flags = bytes[at]!
  const keyBytes = getU16(bytes, at + 7)
  const valueBytes = getU32(bytes, at + 9)
  const from = at + CHANGE_BYTES
  if (from + keyBytes + valueBytes > bytes.length) throw notACommand('it ends too early')
  const hasValue = (flags & HAS_VALUE) !== 0
  if (flags > (HAS_VALUE | HAS_TTL) || (!hasValue && valueBytes > 0)) {
    throw notACommand(`flags ${flags}`)
  }
  const ttlMs = (flags & HAS_TTL) !== 0 ? getU48(bytes, at + 1) : undefined
  return { bytes, from, keyBytes, valueBytes, hasValue, ttlMs }
}

function notACommand(problem: string): UnreadableCommand {
  return new UnreadableCommand(`this is no command of a durable map: ${problem}`)
}
