// Why one side will have nothing to do with the other, and how it says so.

/** The place of a reason is its number on the wire. */
const REASONS = [
  'garbage',
  'version',
  'too-large',
  'checksum',
  'cluster',
  'member',
  'secret',
  'certificate',
  'silent',
  'removed',
  'busy',
] as const

export type RefusalReason = (typeof REASONS)[number]

const TEXT_BYTES_MAX = 512

/** The other side is not who it should be, or says what no member says. */
export class Refusal extends Error {
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, text: string) {
    super(text)
    this.name = 'Refusal'
    this.reason = reason
  }
}

/** The head of a refusal: the number of the reason (1 byte), then the text in UTF-8, cut to 512 bytes. */
export function encodeRefusal(reason: RefusalReason, text: string): Buffer {
  const said = Buffer.from(text).subarray(0, TEXT_BYTES_MAX)
  return Buffer.concat([Buffer.of(REASONS.indexOf(reason)), said])
}

/** Takes anything: a refusal is never refused. The text is fit to be printed, whoever sent it. */
export function decodeRefusal(head: Buffer): { reason: RefusalReason; text: string } {
  const said = head.subarray(1, 1 + TEXT_BYTES_MAX).toString()
  return { reason: REASONS[head[0] ?? 0] ?? 'garbage', text: said.replace(/\p{C}/gu, ' ') }
}
