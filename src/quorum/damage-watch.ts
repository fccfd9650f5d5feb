import { TidemarkError } from '../base/index.ts'
import type { DamagedRange, Log } from '../log/index.ts'
import type { MemberEvents } from './member-events.ts'

/** A replica in which damage was met is opened again at once; if nothing comes of it, later and later. */
const REOPEN_MS = 10
const REOPEN_MS_MAX = 30_000

type Tell = <K extends keyof MemberEvents>(kind: K, event: MemberEvents[K]) => void

/** The damage of one replica: where to look for it when its log is opened, and what its member tells of it. */
export class DamageWatch {
  readonly #name: string
  readonly #tell: Tell
  /** Stores in which damage was met. One that has no name stands for any. */
  readonly #suspects = new Set<string>()
  /** What was told of and is not repaired. */
  #open: DamagedRange[] = []
  /** The list of damaged ranges that was looked at last. */
  #seen: readonly DamagedRange[] = []
  #reopenMs = REOPEN_MS
  #repaired = 0

  constructor(name: string, tell: Tell) {
    this.#name = name
    this.#tell = tell
  }

  /** Offsets that were got back since the member started. */
  get repaired(): number {
    return this.#repaired
  }

  /** Stores that are to be read through when the log is opened. */
  get suspects(): readonly string[] {
    return [...this.#suspects]
  }

  /** Where an error says that something is damaged. True if it was not suspected. */
  suspect(error: unknown): boolean {
    if (!isCorrupt(error)) return false
    const { file = '' } = error.details
    if (this.#suspects.has(file)) return false
    this.#suspects.add(file)
    return true
  }

  /** The log is closed with damage in it, which its next opening has to find again. */
  closed(log: Log): void {
    for (const { file } of log.replica.damage) this.#suspects.add(file)
  }

  /** The log was opened: what of it is damaged is known now. */
  opened(log: Log): void {
    this.#suspects.clear()
    this.look(log)
    for (const range of log.replica.damage) {
      if (this.#open.some((known) => overlap(known, range))) continue
      this.#open.push(range)
      const { offset: from, endOffset: to, file } = range
      this.#tell('damaged', { log: this.#name, from, to, file })
    }
  }

  /** Tells of what is damaged no more. Damage that was cut off or trimmed is only forgotten. */
  look(log: Log): void {
    const { damage, endOffset } = log.replica
    if (damage === this.#seen) return
    this.#seen = damage
    const gone = this.#open.filter((known) => !damage.some((range) => overlap(known, range)))
    if (gone.length === 0) return
    this.#open = this.#open.filter((known) => !gone.includes(known))
    for (const { offset: from, endOffset: to } of gone) {
      if (to > endOffset || to <= log.lowWaterMark) continue
      this.#reopenMs = REOPEN_MS
      this.#repaired += to - from
      this.#tell('repaired', { log: this.#name, from, to })
    }
  }

  /** In how many ms to open the log again in which damage was met; `livedMs`: how long it went well. */
  nextReopenMs(livedMs: number): number {
    if (livedMs > REOPEN_MS_MAX) this.#reopenMs = REOPEN_MS
    const ms = this.#reopenMs
    this.#reopenMs = Math.min(REOPEN_MS_MAX, ms * 2)
    return ms
  }

  /** True if an earlier opening has come to nothing. */
  get isInVain(): boolean {
    return this.#reopenMs > REOPEN_MS
  }
}

/** The damaged range of an open log that an error speaks of, if that is known. */
export function knownDamage(log: Log, error: unknown): DamagedRange | undefined {
  if (!isCorrupt(error)) return undefined
  const { offset } = error.details
  return log.replica.damage.find((range) => {
    return offset !== undefined && offset >= range.offset && offset < range.endOffset
  })
}

export function isCorrupt(error: unknown): error is TidemarkError {
  return error instanceof TidemarkError && error.code === 'CORRUPT'
}

function overlap(a: DamagedRange, b: DamagedRange): boolean {
  return a.offset < b.endOffset && b.offset < a.endOffset
}
