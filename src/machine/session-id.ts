// A session is named by how many were opened before it, which is the same in every copy of a log. Version 1
// of the format named it by the offset of the entry that opened it, and such ids are still with clients. So
// that the two never meet, an ordinal has a bit that no offset of version 1 had.

const ORDINAL = 2 ** 47

/** The number, in requests and in the state, of the session that was opened as the n-th. */
export function sessionNumber(ordinal: number): number {
  return ORDINAL + ordinal
}

/** The ordinal that a session's number has; undefined if it is an offset, of version 1. */
export function ordinalOf(session: number): number | undefined {
  return session > ORDINAL ? session - ORDINAL : undefined
}

/** The id that a client keeps: `s1` for the first session, `1` for one of version 1, opened at offset 1. */
export function sessionId(session: number): string {
  const ordinal = ordinalOf(session)
  return ordinal === undefined ? String(session) : `s${ordinal}`
}

/** The number of the session with this id; undefined if no session can have it. */
export function parseSessionId(id: unknown): number | undefined {
  const match = typeof id === 'string' ? /^(s?)(0|[1-9]\d{0,14})$/.exec(id) : null
  if (!match) return undefined
  const value = Number(match[2])
  if (value >= ORDINAL) return undefined
  if (match[1] === '') return value
  return value === 0 ? undefined : sessionNumber(value)
}
