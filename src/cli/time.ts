import { TIMESTAMP_MS_MAX } from '../base/index.ts'
import { quoted, UsageError } from './arguments.ts'

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

const DURATION = /^(\d{1,15})(ms|s|m|h|d|w)$/
const ISO =
  /^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)([Zz]|[+-]\d{2}:?\d{2})?)?$/

/**
 * A time in ms since 1970. Takes ISO 8601 (a date alone is midnight UTC, a time without a zone is local,
 * as everywhere in JavaScript), ms since 1970, or an age before `now` such as 10m or 2h.
 */
export function parseTime(word: string, option: string, now: number): number {
  const time = ago(word, now) ?? fromMs(word) ?? fromIso(word)
  if (time !== undefined && time >= 0 && time <= TIMESTAMP_MS_MAX) return time
  throw new UsageError(
    `--${option} must be a time since 1970 such as 2026-01-31T12:00:00Z, ms since 1970, or an age such as 30s, 10m, 2h, 1d, not ${quoted(word)}`,
  )
}

/** Milliseconds of a duration such as 500ms, 10s or 2h; undefined if it is none. */
export function durationMs(word: string): number | undefined {
  const match = DURATION.exec(word)
  return match ? Number(match[1]) * UNIT_MS[match[2]!]! : undefined
}

function ago(word: string, now: number): number | undefined {
  const ms = durationMs(word)
  // An age that reaches back behind 1970 means everything.
  return ms === undefined ? undefined : Math.max(0, now - ms)
}

function fromMs(word: string): number | undefined {
  return /^\d{1,16}$/.test(word) ? Number(word) : undefined
}

function fromIso(word: string): number | undefined {
  const match = ISO.exec(word)
  if (!match) return undefined
  const [, date, time, zone = ''] = match
  const day = Date.parse(date!)
  // Date.parse takes the 30th of February for the 1st of March.
  if (Number.isNaN(day) || new Date(day).toISOString().slice(0, 10) !== date) return undefined
  const parsed = time === undefined ? day : Date.parse(`${date}T${time}${zone.toUpperCase()}`)
  return Number.isNaN(parsed) ? undefined : parsed
}
