import { crc32, getU16, getU32, invariant, setU32 } from '../../base/index.ts'

// Frames: the units in which members talk. docs/format.md is the page of their bytes. The header is the same
// in every version, so that whoever is too old for a frame can say so.

export const FRAME_HEADER_BYTES = 24
const FRAME_VERSION = 1
/** "TIDF" as it goes over the wire. */
const MAGIC = 0x46444954

const VERSION_AT = 4
const KIND_AT = 5
const ZERO_AT = 6
const HEAD_LENGTH_AT = 8
const DATA_LENGTH_AT = 12
const HEAD_CRC_AT = 16
const CRC_AT = 20

/** What a frame may claim, in bytes. */
export interface FrameLimits {
  readonly head: number
  readonly data: number
}

export const FRAME_LIMITS: FrameLimits = { head: 2 ** 24, data: 2 ** 27 }

export interface Frame {
  /** 0 to 255. */
  readonly kind: number
  /** All but the data of entries; covered by the checksum of the frame. */
  readonly head: Buffer
  /** Data of entries, one after the other; covered only by the checksums that entries carry in the head. */
  readonly data: Buffer
}

export type WireProblem = 'garbage' | 'version' | 'too-large' | 'checksum'

/** Bytes that no member of this version sends. Nothing that comes behind them can be understood. */
export class WireError extends Error {
  readonly reason: WireProblem

  constructor(reason: WireProblem, message: string) {
    super(message)
    this.name = 'WireError'
    this.reason = reason
  }
}

/** A frame, in parts to be sent in this order: header and a copy of the head, then `data` as it is. */
export function encodeFrame(
  kind: number,
  head: Uint8Array,
  data: readonly Uint8Array[],
): Uint8Array[] {
  let dataLength = 0
  for (const part of data) dataLength += part.length
  invariant(kind >= 0 && kind <= 255, `a frame's kind is a byte, not ${kind}`)
  invariant(head.length <= FRAME_LIMITS.head, `the head of a frame is in its limit: ${head.length}`)
  invariant(dataLength <= FRAME_LIMITS.data, `the data of a frame is in its limit: ${dataLength}`)
  const b = Buffer.allocUnsafe(FRAME_HEADER_BYTES + head.length)
  setU32(b, 0, MAGIC)
  b[VERSION_AT] = FRAME_VERSION
  b[KIND_AT] = kind
  b[ZERO_AT] = 0
  b[ZERO_AT + 1] = 0
  setU32(b, HEAD_LENGTH_AT, head.length)
  setU32(b, DATA_LENGTH_AT, dataLength)
  setU32(b, HEAD_CRC_AT, crc32(head))
  setU32(b, CRC_AT, crc32(b, 0, CRC_AT))
  b.set(head, FRAME_HEADER_BYTES)
  return [b, ...data]
}

interface Header {
  readonly kind: number
  readonly headLength: number
  readonly dataLength: number
  readonly headCrc: number
}

/** Reads the header at `at`, all of whose bytes are there. */
function decodeHeader(b: Uint8Array, at: number, limits: FrameLimits): Header {
  checkMagic(b, at, 4)
  if (getU32(b, at + CRC_AT) !== crc32(b, at, at + CRC_AT)) {
    throw new WireError('checksum', 'the checksum of a frame header does not fit')
  }
  const version = b[at + VERSION_AT]!
  if (version !== FRAME_VERSION) {
    throw new WireError('version', `a frame of version ${version}, not ${FRAME_VERSION}`)
  }
  if (getU16(b, at + ZERO_AT) !== 0) throw new WireError('garbage', 'a frame header without zeros')
  const headLength = getU32(b, at + HEAD_LENGTH_AT)
  const dataLength = getU32(b, at + DATA_LENGTH_AT)
  if (headLength > limits.head || dataLength > limits.data) {
    const limit = `${limits.head} and ${limits.data}`
    const claim = `a frame of ${headLength} and ${dataLength} bytes (head and data)`
    throw new WireError('too-large', `${claim}, of at most ${limit}`)
  }
  const kind = b[at + KIND_AT]!
  return { kind, headLength, dataLength, headCrc: getU32(b, at + HEAD_CRC_AT) }
}

/** Refuses as soon as a byte differs: what speaks another language may never send a whole header. */
function checkMagic(b: Uint8Array, at: number, length: number): void {
  for (let i = 0; i < length; i++) {
    if (b[at + i] === ((MAGIC >>> (8 * i)) & 0xff)) continue
    throw new WireError('garbage', 'bytes that do not begin a frame (wrong magic)')
  }
}

const NO_BYTES = Buffer.alloc(0)

/**
 * Makes frames of the bytes of one connection. A frame that lies within one chunk is a view of it, which keeps
 * the whole chunk: who keeps data for long copies it. One that spans chunks is copied once. Memory is taken
 * only for a claim that is within the limits.
 */
export class FrameReader {
  /** Of the frames whose header is yet to come. */
  limits: FrameLimits
  readonly #chunks: Buffer[] = []
  /** The chunk being read, and how far. */
  #chunk: Buffer = NO_BYTES
  #at = 0
  /** A header that began in an earlier chunk. */
  readonly #partialHeader = Buffer.alloc(FRAME_HEADER_BYTES)
  #headerFilled = 0
  /** The header of the frame being read; its body, if that began in an earlier chunk. */
  #header: Header | undefined
  #body: Buffer | undefined
  #bodyFilled = 0
  #failure: WireError | undefined

  constructor(limits: FrameLimits = FRAME_LIMITS) {
    this.limits = limits
  }

  /** The reader keeps the chunk until its bytes are read. After a failure it is ignored. */
  push(chunk: Buffer): void {
    if (this.#failure || chunk.length === 0) return
    this.#chunks.push(chunk)
  }

  /**
   * The next frame; undefined until more is pushed. Throws WireError where the bytes are no frame, and the
   * same from then on.
   */
  next(): Frame | undefined {
    if (this.#failure) throw this.#failure
    try {
      this.#header ??= this.#takeHeader()
      return this.#header && this.#takeBody(this.#header)
    } catch (error) {
      if (error instanceof WireError) this.#fail(error)
      throw error
    }
  }

  #fail(error: WireError): void {
    this.#failure = error
    this.#chunks.length = 0
    this.#chunk = NO_BYTES
    this.#body = undefined
  }

  /** False if no byte is left. */
  #hasBytes(): boolean {
    if (this.#at < this.#chunk.length) return true
    this.#chunk = this.#chunks.shift() ?? NO_BYTES
    this.#at = 0
    return this.#chunk.length > 0
  }

  #takeHeader(): Header | undefined {
    if (!this.#hasBytes()) return undefined
    if (this.#headerFilled === 0 && this.#chunk.length - this.#at >= FRAME_HEADER_BYTES) {
      this.#at += FRAME_HEADER_BYTES
      return decodeHeader(this.#chunk, this.#at - FRAME_HEADER_BYTES, this.limits)
    }
    this.#headerFilled = this.#copyTo(this.#partialHeader, this.#headerFilled)
    if (this.#headerFilled < FRAME_HEADER_BYTES) {
      checkMagic(this.#partialHeader, 0, Math.min(4, this.#headerFilled))
      return undefined
    }
    this.#headerFilled = 0
    return decodeHeader(this.#partialHeader, 0, this.limits)
  }

  #takeBody(header: Header): Frame | undefined {
    const size = header.headLength + header.dataLength
    if (!this.#body) {
      if (size === 0 || (this.#hasBytes() && this.#chunk.length - this.#at >= size)) {
        this.#at += size
        return this.#frameOf(header, this.#chunk.subarray(this.#at - size, this.#at))
      }
      // Not from the pool: it may be kept for long.
      this.#body = Buffer.allocUnsafeSlow(size)
      this.#bodyFilled = 0
    }
    const body = this.#body
    this.#bodyFilled = this.#copyTo(body, this.#bodyFilled)
    if (this.#bodyFilled < size) return undefined
    this.#body = undefined
    return this.#frameOf(header, body)
  }

  /** Copies what is there to `target`, until that is full. Returns how far it is filled. */
  #copyTo(target: Buffer, filled: number): number {
    let end = filled
    while (end < target.length && this.#hasBytes()) {
      const count = this.#chunk.copy(target, end, this.#at)
      this.#at += count
      end += count
    }
    return end
  }

  #frameOf({ kind, headLength, headCrc }: Header, body: Buffer): Frame {
    this.#header = undefined
    if (crc32(body, 0, headLength) !== headCrc) {
      throw new WireError('checksum', `the checksum of a head of ${headLength} bytes does not fit`)
    }
    return { kind, head: body.subarray(0, headLength), data: body.subarray(headLength) }
  }
}
