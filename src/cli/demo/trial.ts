import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from '../../io/index.ts'
import { Log, verifyLog } from '../../log/index.ts'
import type { LineStream } from './stream.ts'
import { WriterProcess } from './writer-process.ts'

/** One life of the writer, and what was found after its death. */
export interface Round {
  readonly number: number
  /** From the first acknowledged line to the kill. */
  readonly livedMs: number
  readonly acknowledged: number
  /** Acknowledged lines of all rounds until now that are in the log, each at its place. */
  readonly found: number
  /** Acknowledged lines of all rounds until now that are not. */
  readonly lost: number
  /** Entries that are none of the lines sent, or not where they belong. */
  readonly wrong: number
  /** Lines that were kept although the writer had not yet called them safe. */
  readonly extra: number
  /** Bytes of a half-written end that opening cut off. */
  readonly tornBytes: number
  readonly isSound: boolean
}

/** Which lines one life of the writer left in the log. */
interface Life {
  readonly firstOffset: number
  readonly firstLine: number
  readonly acknowledgedEnd: number
}

const LIFE_MS_MIN = 10
const LIFE_MS_MAX = 300

/**
 * Kills a writer again and again and looks each time whether the log kept its promise: every line that was
 * acknowledged is there, with its own content, at the offset that was printed for it.
 */
export class Trial {
  readonly #folder: string
  readonly #lines: LineStream
  readonly #random: Random
  readonly #interrupted: AbortSignal
  readonly #lives: Life[] = []
  #endOffset = 0
  #linesSent = 0
  acknowledged = 0

  constructor(folder: string, lines: LineStream, random: Random, interrupted: AbortSignal) {
    this.#folder = folder
    this.#lines = lines
    this.#random = random
    this.#interrupted = interrupted
  }

  /** Throws the signal's reason when interrupted; the writer is dead then, too. */
  async round(number: number): Promise<Round> {
    const lifeMs = LIFE_MS_MIN + (this.#random.uint32() % (LIFE_MS_MAX - LIFE_MS_MIN))
    const writer = new WriterProcess(this.#folder)
    const fed = writer.feed(this.#lines, this.#linesSent)
    let startedAt = 0
    try {
      await writer.firstAcknowledged()
      startedAt = performance.now()
      // Interrupted, it resolves early; what follows looks at that.
      await delay(lifeMs, undefined, { signal: this.#interrupted }).catch(() => {})
    } finally {
      await writer.kill()
      await fed
    }
    this.#interrupted.throwIfAborted()
    const livedMs = performance.now() - startedAt
    const firstLine = this.#linesSent
    this.#linesSent += writer.sent
    const promised = this.#promised(writer)
    const acknowledgedEnd = this.#endOffset + promised
    this.#lives.push({ firstOffset: this.#endOffset, firstLine, acknowledgedEnd })
    this.acknowledged += writer.acknowledged.length
    const { sound, tornBytes } = await verifyLog(this.#folder, { signal: this.#interrupted })
    const check = await this.#check()
    const extra = Math.max(0, this.#endOffset - acknowledgedEnd)
    return {
      number,
      livedMs,
      acknowledged: writer.acknowledged.length,
      ...check,
      extra,
      tornBytes,
      isSound: sound,
    }
  }

  /** How many offsets from the log's end on were acknowledged, one after the other, as they must be. */
  #promised({ acknowledged }: WriterProcess): number {
    const gap = acknowledged.findIndex((offset, i) => offset !== this.#endOffset + i)
    return gap < 0 ? acknowledged.length : gap
  }

  /** Opens the log as a writer would after a crash, and compares every entry in it. */
  async #check(): Promise<Pick<Round, 'found' | 'lost' | 'wrong'>> {
    const log = await Log.open(this.#folder)
    let found = 0
    let wrong = 0
    let life = 0
    try {
      for await (const entries of log.read({ signal: this.#interrupted }).batches()) {
        for (const { offset, data } of entries) {
          while (this.#lives[life + 1] && offset >= this.#lives[life + 1]!.firstOffset) life++
          const { firstOffset, firstLine, acknowledgedEnd } = this.#lives[life]!
          const number = firstLine + offset - firstOffset
          if (number >= this.#linesSent || !data.equals(this.#lines.line(number))) wrong++
          else if (offset < acknowledgedEnd) found++
        }
      }
      this.#endOffset = log.highWaterMark
    } finally {
      await log.close()
    }
    return { found, lost: this.acknowledged - found, wrong }
  }
}
