// What a simulated day knows of its log: what each offset may hold, and what a crash must leave.
import assert from 'node:assert/strict'
import type { Entry } from 'tidemark'

/** Bytes of an entry besides its data, as docs/format.md has them. */
const ENTRY_HEADER_BYTES = 40

interface Written {
  readonly serial: number
  readonly size: number
  readonly timestamp: number
}

/** What an entry holds: a number that is never used again, and as many bytes as it is long. */
export function textOf(serial: number, size: number): string {
  return `${serial} `.padEnd(size, 'x')
}

export class DayModel {
  readonly #entries = new Map<number, Written>()
  /** When all below an offset was acknowledged, in the order of time. */
  #acknowledged: { readonly at: number; readonly end: number }[] = []
  /** Offset of the first entry that is still in memory here. */
  #low = 0
  next = 0
  /** All below is on the disk, whatever the policy. */
  flushed = 0
  bytes = 0

  /** An append was called: the entry will have the next offset. */
  submitted(serial: number, size: number, timestamp: number): number {
    this.#entries.set(this.next, { serial, size, timestamp })
    this.bytes += size + ENTRY_HEADER_BYTES
    return this.next++
  }

  acknowledged(end: number, at: number): void {
    this.#acknowledged.push({ at, end })
  }

  /** The end of what was acknowledged, or of what was by some moment. */
  acknowledgedEnd(by = Number.POSITIVE_INFINITY): number {
    let end = 0
    for (const ack of this.#acknowledged) if (ack.at <= by) end = Math.max(end, ack.end)
    return end
  }

  /** Throws unless the entry is the one that was appended there. */
  check({ offset, data, timestamp }: Entry): void {
    const written = this.#entries.get(offset)
    assert.ok(written, `offset ${offset} was never appended`)
    assert.equal(data.toString(), textOf(written.serial, written.size), `offset ${offset}`)
    assert.equal(timestamp, written.timestamp, `the timestamp of offset ${offset}`)
  }

  /** The log was opened and ends at `end`, and all of it is on the disk. Returns how many were lost. */
  reopened(end: number): number {
    for (let offset = end; offset < this.next; offset++) this.#forget(offset)
    const lost = Math.max(0, this.acknowledgedEnd() - end)
    this.next = end
    this.flushed = end
    this.#acknowledged = [{ at: 0, end }]
    return lost
  }

  /** Entries below are gone by right. */
  trimmed(low: number): void {
    for (; this.#low < low; this.#low++) this.#forget(this.#low)
  }

  #forget(offset: number): void {
    const written = this.#entries.get(offset)
    if (!written) return
    this.bytes -= written.size + ENTRY_HEADER_BYTES
    this.#entries.delete(offset)
  }

  /** Bytes of the entries from an offset on. */
  bytesFrom(low: number): number {
    let bytes = this.bytes
    for (let offset = this.#low; offset < low; offset++) {
      bytes -= (this.#entries.get(offset)?.size ?? 0) + ENTRY_HEADER_BYTES
    }
    return bytes
  }

  /** The highest timestamp among the entries in a range. */
  newestIn(from: number, to: number): number {
    let newest = 0
    for (let offset = from; offset < to; offset++) {
      newest = Math.max(newest, this.#entries.get(offset)?.timestamp ?? 0)
    }
    return newest
  }

  /** Offset of the first entry in a range that is at least so late; undefined if none is. */
  firstSince(timestamp: number, from: number, to: number): number | undefined {
    for (let offset = from; offset < to; offset++) {
      if ((this.#entries.get(offset)?.timestamp ?? 0) >= timestamp) return offset
    }
    return undefined
  }
}
