import type { Message, Point } from '../core/index.ts'
import { type ByteReader, garbage } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { BodyReader, BodyWriter } from './frame-body.ts'

/** What one kind of message has beside its kind and its term. */
export interface Fields<M extends Message> {
  readonly flags?: (message: M) => number
  /** Which flags there are. */
  readonly flagsMask: number
  /** 1 where only somebody with a term sends it. */
  readonly termMin: 0 | 1
  readonly write: (out: BodyWriter, message: M) => void
  readonly read: (input: BodyReader, term: number, flags: number) => Message
}

export function writePoint(head: ByteWriter, { term, mark }: Point): void {
  head.u32(term)
  head.u64(mark)
}

/** A place in a log whose terms are not above that of who sends it. */
export function readPoint(head: ByteReader, termMax: number): Point {
  const term = head.u32()
  if (term > termMax) garbage(`a place of term ${term} from a sender of term ${termMax}`)
  return { term, mark: head.mark() }
}
