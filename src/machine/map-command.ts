import { getU16, getU32, getU48, setU16, setU32, setU48, TidemarkError } from '../base/index.ts'
import { KEY_BYTES_MAX } from './record.ts'

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

/** A key and what it shall hold, or holds: nothing, if there is no value. */
export interface Change {
  readonly key: Uint8Array
  readonly value: Uint8Array | undefined
  /** The record ends so many ms after the command, by log time. */
  readonly ttlMs: number | undefined
}

export interface MapCommand {
  readonly operation: number
  readonly changes: readonly Change[]
}

export function encodeMapCommand(operation: number, changes: readonly Change[]): Buffer {
  const isMany = operation === OPERATION.setMany
  let length = isMany ? 5 : 1
  for (const { key, value } of changes) length += CHANGE_BYTES + key.length + (value?.length ?? 0)
  const b = Buffer.allocUnsafe(length)
  b[0] = operation
  if (isMany) setU32(b, 1, changes.length)
  let at = isMany ? 5 : 1
  for (const change of changes) at = writeChange(b, at, change)
  return b
}

function writeChange(b: Uint8Array, at: number, { key, value, ttlMs }: Change): number {
  b[at] = (value ? HAS_VALUE : 0) | (ttlMs === undefined ? 0 : HAS_TTL)
  setU48(b, at + 1, ttlMs ?? 0)
  setU16(b, at + 7, key.length)
  setU32(b, at + 9, value?.length ?? 0)
  b.set(key, at + CHANGE_BYTES)
  if (value) b.set(value, at + CHANGE_BYTES + key.length)
  return at + CHANGE_BYTES + key.length + (value?.length ?? 0)
}

/** Throws CORRUPT where this is no command of a map. Views, not copies. */
export function decodeMapCommand(b: Buffer): MapCommand {
  const operation = b[0] ?? 0
  const isMany = operation === OPERATION.setMany
  if (operation < OPERATION.set || operation > OPERATION.setMany || (isMany && b.length < 5)) {
    throw notACommand(`operation ${operation}`)
  }
  const count = isMany ? getU32(b, 1) : operation === OPERATION.compareAndSet ? 2 : 1
  const changes: Change[] = []
  let at = isMany ? 5 : 1
  for (let i = 0; i < count; i++) {
    const change = readChange(b, at)
    changes.push(change)
    at += CHANGE_BYTES + change.key.length + (change.value?.length ?? 0)
  }
  if (at !== b.length) throw notACommand(`${b.length - at} bytes behind it`)
  return { operation, changes }
}

function readChange(b: Buffer, at: number): Change {
  if (at + CHANGE_BYTES > b.length) throw notACommand('it ends too early')
  const flags = b[at]!
  const keyBytes = getU16(b, at + 7)
  const valueBytes = getU32(b, at + 9)
  const from = at + CHANGE_BYTES
  if (from + keyBytes + valueBytes > b.length || keyBytes > KEY_BYTES_MAX) {
    throw notACommand('it ends too early')
  }
  const hasValue = (flags & HAS_VALUE) !== 0
  if (flags > (HAS_VALUE | HAS_TTL) || (!hasValue && valueBytes > 0)) {
    throw notACommand(`flags ${flags}`)
  }
  return {
    key: b.subarray(from, from + keyBytes),
    value: hasValue ? b.subarray(from + keyBytes, from + keyBytes + valueBytes) : undefined,
    ttlMs: (flags & HAS_TTL) !== 0 ? getU48(b, at + 1) : undefined,
  }
}

function notACommand(problem: string): TidemarkError {
  return new TidemarkError('CORRUPT', `this is no command of a durable map: ${problem}`)
}
