// Reads what a state machine has put into a log, as a program in another language would: from
// docs/format.md, and with nothing of Tidemark.

import type { GoldenContents } from './specimens.ts'

const KINDS = ['plain', 'request', 'open session', 'delivered']
const OPERATIONS = ['', 'set', 'delete', 'compare and set', 'set many']
const OUTCOMES = ['error', 'result', 'no result']

class Reader {
  at = 0
  readonly #b: Buffer

  constructor(b: Buffer) {
    this.#b = b
  }

  get left(): number {
    return this.#b.length - this.at
  }

  uint(size: 1 | 2 | 4 | 6): number {
    this.at += size
    return this.#b.readUIntLE(this.at - size, size)
  }

  double(): number {
    this.at += 8
    return this.#b.readDoubleLE(this.at - 8)
  }

  text(length: number): string {
    if (length > this.left) throw new Error(`${length} bytes, where ${this.left} are left`)
    this.at += length
    return this.#b.toString('utf8', this.at - length, this.at)
  }

  zeros(count: number): void {
    for (let i = 0; i < count; i++) if (this.uint(1) !== 0) throw new Error('a byte is not zero')
  }
}

/** An entry's data as a command; `isMap` says what its body is. */
function commandOf(data: Buffer, isMap: boolean): object {
  const r = new Reader(data)
  const version = r.uint(1)
  if (version !== 1 && version !== 2) throw new Error('not a command of version 1 or 2')
  const kind = KINDS[r.uint(1)]
  if (kind === 'open session') return { kind }
  if (kind === 'delivered' && version === 2) return { kind, upTo: r.uint(6) }
  if (kind === 'delivered') return { kind, upTo: { offset: r.uint(6), index: r.uint(6) } }
  const asked = kind === 'request' ? { session: sessionOf(r), request: r.uint(6) } : {}
  if (!isMap) return { kind, ...asked, body: r.text(r.left) }
  const operation = OPERATIONS[r.uint(1)]!
  const count = operation === 'set many' ? r.uint(4) : operation === 'compare and set' ? 2 : 1
  const changes = Array.from({ length: count }, () => changeOf(r))
  if (r.left > 0) throw new Error('bytes behind the last change')
  return { kind, ...asked, operation, changes }
}

/** A session of version 2 by its ordinal, as its clients know it; one of version 1 by its offset. */
function sessionOf(r: Reader): number | string {
  const number = r.uint(6)
  return number > 2 ** 47 ? `s${number - 2 ** 47}` : number
}

function changeOf(r: Reader): object {
  const flags = r.uint(1)
  const ttlMs = r.uint(6)
  const keyBytes = r.uint(2)
  const valueBytes = r.uint(4)
  const key = r.text(keyBytes)
  const value = r.text(valueBytes)
  return { key, ...((flags & 1) !== 0 && { value }), ...((flags & 2) !== 0 && { ttlMs }) }
}

function snapshotOf(data: Buffer, isMap: boolean): object {
  const r = new Reader(data)
  if (r.text(4) !== 'TMSM') throw new Error('not a snapshot of a state machine')
  const version = r.uint(2)
  if (version !== 1 && version !== 2) throw new Error('not a snapshot of version 1 or 2')
  r.zeros(2)
  const end = 12 + r.uint(4)
  const place = { next: r.uint(6), logTime: r.uint(6) }
  const counts = version === 2 && { opened: r.uint(6), numbered: r.uint(6) }
  const sessions = Array.from({ length: r.uint(4) }, () => {
    const session = { id: sessionOf(r), lastUsed: r.uint(6), forgotten: r.uint(6) }
    const answers = Array.from({ length: r.uint(4) }, () => {
      const request = r.uint(6)
      return { request, outcome: OUTCOMES[r.uint(1)], bytes: r.text(r.uint(4)) }
    })
    return { ...session, answers }
  })
  const events = Array.from({ length: r.uint(4) }, () => {
    const number = version === 2 && { number: r.uint(6) }
    return { ...number, offset: r.uint(6), index: r.uint(4), bytes: r.text(r.uint(4)) }
  })
  if (r.at !== end) throw new Error(`the head ends at ${r.at} and not at ${end}`)
  return { ...place, ...counts, sessions, events, state: isMap ? mapOf(r) : r.text(r.left) }
}

function mapOf(r: Reader): object {
  const logTime = r.double()
  const begin = r.at
  const records: object[] = []
  while (r.left > 0) {
    const valueBytes = r.uint(4)
    const keyBytes = r.uint(2)
    const hasExpiry = r.uint(2) === 1
    const expiry = hasExpiry ? r.uint(6) : undefined
    if (hasExpiry) r.zeros(2)
    const key = r.text(keyBytes)
    const value = r.text(valueBytes)
    r.zeros((8 - ((r.at - begin) % 8)) % 8)
    records.push({ key, value, ...(hasExpiry && { expiry }) })
  }
  return { logTime, records }
}

/** What is in the log of a state machine. Entries of another type are not for it. */
export function readMachine(log: GoldenContents, isMap: boolean): object {
  const commands = log.entries
    .filter(({ type }) => type === 1)
    .map(({ offset, data }) => ({ offset, ...commandOf(Buffer.from(data, 'base64'), isMap) }))
  const snapshots = log.snapshots.map(({ offset, data }) => {
    return { offset, ...snapshotOf(Buffer.from(data, 'base64'), isMap) }
  })
  return { commands, snapshots }
}
