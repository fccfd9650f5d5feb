import { invariant, TidemarkError } from '../base/index.ts'
import type { Codec } from '../log/index.ts'
import type { BytesIn } from './bytes-in.ts'
import type { BytesOut } from './bytes-out.ts'
import {
  kindOf,
  type Outcome,
  outcomeOf,
  restoreOutcome,
  type StoredOutcome,
  storeOutcome,
  uncertain,
} from './outcome.ts'
import { ordinalOf, sessionId, sessionNumber } from './session-id.ts'

export interface SessionLimits {
  /** Sessions that are remembered; beyond, the one that was idle for longest is forgotten. 10,000 by default. */
  readonly max?: number | undefined
  /** A session that was not used for so long, by the timestamps of entries, is forgotten. A day by default. */
  readonly idleMs?: number | undefined
  /** Requests that are remembered of each session. 16 by default. */
  readonly requests?: number | undefined
}

export const SESSIONS_DEFAULT = { max: 10_000, idleMs: 86_400_000, requests: 16 }

const NOTHING = new Uint8Array(0)

interface Session {
  lastUsed: number
  /** The highest request that was forgotten: what is not above it and not remembered is uncertain. */
  forgotten: number
  readonly answers: Map<number, StoredOutcome>
}

/**
 * Who asked what, and what the answer was: the idempotent receiver. Part of the state: it changes by entries
 * of the log alone, so every replica and every replay forgets the same at the same entry.
 *
 * Invariant: sessions stand in the order of their last use, and that never goes back, because log time does not.
 */
export class Sessions<R> {
  readonly #limits: typeof SESSIONS_DEFAULT
  readonly #results: Codec<R>
  readonly #sessions = new Map<number, Session>()
  /** How many were opened, but for those of version 1: the ordinal of the newest. */
  opened = 0

  constructor(limits: typeof SESSIONS_DEFAULT, results: Codec<R>) {
    this.#limits = limits
    this.#results = results
  }

  get count(): number {
    return this.#sessions.size
  }

  /** Log time has come to `now`: forgets who was idle for too long. */
  expire(now: number): void {
    if (this.#sessions.size === 0) return
    for (const [id, { lastUsed }] of this.#sessions) {
      if (now - lastUsed <= this.#limits.idleMs) return
      this.#sessions.delete(id)
    }
  }

  /** Opens the next session, and returns its number. */
  open(now: number): number {
    const id = sessionNumber(++this.opened)
    this.openAs(id, now)
    return id
  }

  /** Opens one of version 1: its number is the offset of its entry. */
  openAs(id: number, now: number): void {
    this.#sessions.set(id, { lastUsed: now, forgotten: 0, answers: new Map() })
    if (this.#sessions.size <= this.#limits.max) return
    const [idlest] = this.#sessions.keys()
    this.#sessions.delete(idlest!)
  }

  /** The answer to a request that is known, or that it is uncertain; undefined if it has to be applied. */
  answer(id: number, request: number): Outcome<R> | undefined {
    const session = this.#sessions.get(id)
    if (!session)
      return {
        ok: false,
        error: uncertain(sessionId(id), request, 'the session is not known any more'),
      }
    const stored = session.answers.get(request)
    if (stored) return restoreOutcome(stored, this.#results)
    if (request > session.forgotten) return undefined
    const why = `only its last ${this.#limits.requests} requests are remembered`
    return { ok: false, error: uncertain(sessionId(id), request, why) }
  }

  /** The session was used: it is the last to be forgotten. */
  touch(id: number, now: number): void {
    const session = this.#sessions.get(id)
    if (!session) return
    session.lastUsed = now
    this.#sessions.delete(id)
    this.#sessions.set(id, session)
  }

  /** Remembers what came of a request. */
  remember(id: number, request: number, outcome: Outcome<R>): void {
    const session = this.#sessions.get(id)
    invariant(session, 'only a request of a known session is applied')
    const { answers } = session
    answers.set(request, storeOutcome(outcome, this.#results))
    if (answers.size <= this.#limits.requests) return
    const lowest = Math.min(...answers.keys())
    answers.delete(lowest)
    session.forgotten = Math.max(session.forgotten, lowest)
  }

  write(out: BytesOut): void {
    out.u32(this.#sessions.size)
    for (const [id, { lastUsed, forgotten, answers }] of this.#sessions) {
      out.u48(id)
      out.u48(lastUsed)
      out.u48(forgotten)
      out.u32(answers.size)
      for (const [request, outcome] of answers) {
        out.u48(request)
        out.u8(kindOf(outcome))
        out.sized(outcome.bytes ?? NOTHING)
      }
    }
  }

  /**
   * Takes over what {@link write} wrote, of entries below `next` and up to log time `now`, when `opened` were
   * opened. Throws CORRUPT.
   */
  read(from: BytesIn, opened: number, next: number, now: number): void {
    // Each has taken an entry.
    if (opened > next) throw corrupt(`${opened} of them before offset ${next}`)
    this.opened = opened
    let earliest = 0
    for (let left = from.u32(); left > 0; left--) {
      const id = from.u48()
      const lastUsed = from.u48()
      const forgotten = from.u48()
      const ordinal = ordinalOf(id)
      const isOpen = ordinal === undefined ? id < next : ordinal <= opened
      if (!isOpen || this.#sessions.has(id)) throw corrupt(`a session ${sessionId(id)}`)
      if (lastUsed < earliest || lastUsed > now) {
        throw corrupt(`session ${id} was used last at ${lastUsed}`)
      }
      earliest = lastUsed
      this.#sessions.set(id, { lastUsed, forgotten, answers: readAnswers(from, id, forgotten) })
    }
  }
}

function readAnswers(from: BytesIn, id: number, forgotten: number): Map<number, StoredOutcome> {
  const answers = new Map<number, StoredOutcome>()
  for (let left = from.u32(); left > 0; left--) {
    const request = from.u48()
    const kind = from.u8()
    if (request <= forgotten || answers.has(request)) throw corrupt(`request ${request} of ${id}`)
    answers.set(request, outcomeOf(kind, from.sized()))
  }
  return answers
}

function corrupt(problem: string): TidemarkError {
  return new TidemarkError('CORRUPT', `the sessions in a snapshot: ${problem}`)
}
