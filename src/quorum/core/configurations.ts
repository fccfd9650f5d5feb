import type { CoreLog } from './core-log.ts'
import { type Members, NO_MEMBERS } from './members.ts'
import type { Batch, Configuration, Point } from './messages.ts'

/** Before there is anything, nobody is a member. */
const NOTHING: Configuration = { point: { term: 0, mark: 0 }, members: NO_MEMBERS }

/**
 * Who takes part, by place in the log. The last configuration in the log is in force, committed or not
 * (Raft, section 6), so a cut may bring back the one before.
 *
 * Invariants: marks strictly increase; there is always one that lies in the log or below.
 */
export class Configurations {
  #list: Configuration[]
  /** Also those that were cut off: what the disk holds may still have them. */
  #remembered: readonly Configuration[]

  /** Takes those that the log has; of damage nothing is known, so what lies there counts. */
  constructor(known: readonly Configuration[], log: CoreLog) {
    this.#remembered = known
    this.#list = inLog(known, log)
  }

  get latest(): Configuration {
    return this.#list.at(-1)!
  }

  get members(): Members {
    return this.latest.members
  }

  /** To be kept on the disk. */
  get remembered(): readonly Configuration[] {
    return this.#remembered
  }

  /** The configuration in force at a mark. */
  at(mark: number): Configuration {
    return this.#list.findLast(({ point }) => point.mark <= mark) ?? this.#list[0]!
  }

  /** Takes note of batches that are now in the log. True if there is a change among them. */
  appended(batches: readonly Batch[]): boolean {
    let changed = false
    for (const { kind, members, term, end } of batches) {
      if (kind !== 'members' || members === undefined) continue
      this.#add({ point: { term, mark: end }, members })
      changed = true
    }
    return changed
  }

  /** The log was cut. True if another configuration is in force now. */
  cut(mark: number): boolean {
    const before = this.latest
    this.#list = this.#list.filter(({ point }, i) => i === 0 || point.mark <= mark)
    return this.latest !== before
  }

  /** The log begins anew at `mark`, with the members that are in force there. */
  reset(configuration: Configuration, mark: number): void {
    this.#list = []
    this.#add(configuration)
    this.trim(mark)
  }

  /** Damage was mended: the log can say again which of those that lay there it has. */
  mended(log: CoreLog): void {
    this.#list = inLog(this.#list, log)
  }

  /** What lies below `mark` for good is not needed but for the last. */
  forget(mark: number): void {
    const at = this.#list.findLastIndex(({ point }) => point.mark <= mark)
    if (at > 0) this.#list = this.#list.slice(at)
  }

  /**
   * Below the low-water mark the log cannot say any more which of the remembered ones it had: those that
   * it had not are forgotten before. True if there were any.
   */
  trim(mark: number): boolean {
    const before = this.#remembered.length
    this.#remembered = this.#remembered.filter(
      (each) => each.point.mark > mark || this.#list.some(({ point }) => same(point, each.point)),
    )
    return this.#remembered.length !== before
  }

  #add(configuration: Configuration): void {
    this.#list.push(configuration)
    const first = this.#list[0]!.point.mark
    const others = this.#remembered.filter(
      ({ point }) => point.mark >= first && !same(point, configuration.point),
    )
    this.#remembered = [...others, configuration].sort(
      (a, b) => a.point.mark - b.point.mark || a.point.term - b.point.term,
    )
  }
}

/** Those that the log has, or may have had below its low mark, or where it is damaged. */
function inLog(list: readonly Configuration[], log: CoreLog): Configuration[] {
  const found = list.filter(({ point }) => {
    if (point.mark < log.low.mark) return true
    return point.mark <= log.last.mark && (log.termAt(point.mark) ?? point.term) === point.term
  })
  return found.length > 0 ? found : [NOTHING]
}

function same(a: Point, b: Point): boolean {
  return a.mark === b.mark && a.term === b.term
}
