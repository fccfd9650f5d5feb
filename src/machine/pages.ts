import { invariant, TidemarkError } from '../base/index.ts'

/** Memory is taken in pieces of so many bytes; a record that is a large part of one gets one of its own. */
const PAGE_BYTES = 1024 * 1024
const OWN_PAGE_BYTES = PAGE_BYTES / 4
/** A reference has 32 bits: 15 for the page, 17 for the position in it, in units of 8 bytes. */
const POSITION_BITS = 17
const PAGES_MAX = 2 ** (32 - POSITION_BITS)
/** Position 0 of page 0 is never used, so that 0 refers to nothing. */
const FIRST_POSITION = 8

interface Page {
  readonly bytes: Buffer
  /** Where the next record goes. */
  end: number
  /** Bytes of records that nothing refers to any more. */
  dead: number
}

export interface Place {
  readonly bytes: Buffer
  readonly at: number
}

/**
 * The memory of a table: records are added at the end of a page and never changed, so what was read once stays
 * as it is, and a view of it is as good as a copy.
 */
export class Pages {
  #pages: (Page | undefined)[] = []
  readonly #free: number[] = []
  #current = -1
  #live = 0
  #dead = 0

  /** Bytes of memory that are in use, dead records included. */
  get bytes(): number {
    return this.#live + this.#dead
  }

  /** True when so much is dead that a page should be cleared. */
  get isWasteful(): boolean {
    return this.#dead > PAGE_BYTES * 4 && this.#dead * 2 > this.#live
  }

  /** The pages as they are now, for whoever goes on reading them while more is added. */
  snapshot(): readonly (Buffer | undefined)[] {
    return this.#pages.map((page) => page?.bytes)
  }

  /** Reserves room for a record, and returns its reference. Throws TOO_LARGE. */
  add(length: number): number {
    const isOwn = length > OWN_PAGE_BYTES
    let index = this.#current
    let page = this.#pages[index]
    if (isOwn || !page || page.end + length > page.bytes.length) {
      index = this.#newPage(isOwn ? length + FIRST_POSITION : PAGE_BYTES)
      if (!isOwn) {
        const full = this.#current
        this.#current = index
        if (full >= 0) this.#releaseIfDead(full)
      }
      page = this.#pages[index]!
    }
    const at = page.end
    page.end += length
    this.#live += length
    return refOf(index, at)
  }

  bytesOf(ref: number): Buffer {
    return this.#pages[ref >>> POSITION_BITS]!.bytes
  }

  /** The record of this reference is dead. A page with nothing else in it is given back. */
  drop(ref: number, length: number): void {
    const index = ref >>> POSITION_BITS
    const page = this.#pages[index]!
    page.dead += length
    this.#live -= length
    this.#dead += length
    if (index !== this.#current) this.#releaseIfDead(index)
  }

  /** The page with the most dead bytes, apart from that which is being filled; undefined if none has any. */
  mostWasteful():
    | { readonly bytes: Buffer; readonly index: number; readonly end: number }
    | undefined {
    let found = -1
    let most = 0
    for (const [index, page] of this.#pages.entries()) {
      if (!page || index === this.#current || page.dead <= most) continue
      most = page.dead
      found = index
    }
    const page = this.#pages[found]
    return page && { bytes: page.bytes, index: found, end: page.end }
  }

  /** The memory that a page of this number has now. */
  pageAt(index: number): Buffer | undefined {
    return this.#pages[index]?.bytes
  }

  #newPage(size: number): number {
    const index = this.#free.pop() ?? this.#pages.length
    if (index >= PAGES_MAX) {
      throw new TidemarkError(
        'TOO_LARGE',
        `the table holds ${PAGES_MAX} pages of 1 MiB, and no more`,
      )
    }
    // Not from Buffer's pool, whose slabs would be kept by a single record.
    this.#pages[index] = { bytes: Buffer.allocUnsafeSlow(size), end: FIRST_POSITION, dead: 0 }
    return index
  }

  /** Invariant: of the pages that are not being filled, each has something that is alive. */
  #releaseIfDead(index: number): void {
    const page = this.#pages[index]
    invariant(page, 'a page is given back once')
    if (page.dead < page.end - FIRST_POSITION) return
    this.#dead -= page.dead
    this.#pages[index] = undefined
    this.#free.push(index)
  }
}

export function refOf(page: number, at: number): number {
  return ((page << POSITION_BITS) | (at >>> 3)) >>> 0
}

export function positionOf(ref: number): number {
  return (ref & (2 ** POSITION_BITS - 1)) << 3
}

export function pageOf(ref: number): number {
  return ref >>> POSITION_BITS
}

export const FIRST_RECORD = FIRST_POSITION
