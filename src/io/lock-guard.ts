import { linkSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { errnoOf } from '../base/index.ts'
import type { Aliveness, ProcessIdentity } from './process-identity.ts'

// A lock made of files alone, held for the microseconds in which the content of a lock file is read
// and replaced. It must survive that its owner is killed at any point, and that is where lock files
// usually go wrong: two processes see a dead owner's file, the first removes it and makes its own,
// the second removes *that*.
//
// Here nobody removes a dead owner's claim to make room. A claim is a file that holds the record of
// its owner; it is made by linking a finished file to a name, which fails if the name is taken. The
// name of the first claim is `<lock>.taking`; who finds its owner dead claims the name that the
// dead owner's random token gives, `<lock>.taking-<token>`, and so on. So exactly one process can
// come next, and the guard belongs to the living owner of the last claim that can be reached from
// the first name.
//
// Its owner removes the claims in that order, the first name first. A slow process that saw the
// chain before may therefore still make a claim, but none that can be reached: after each claim it
// walks the chain again, and only finding itself at the end makes it the owner. Tokens are never
// used twice, so no later chain leads there either.

/** One line of JSON in a lock file or a claim. */
export interface LockRecord extends ProcessIdentity {
  /** Random, new for each attempt to lock. */
  readonly token: string
  /** True if whoever wrote it held the kernel's lock on the lock file, and holds it while it lives. */
  readonly kernelLock: boolean
}

export type Judge = (record: LockRecord) => Aliveness

/**
 * How long a living process may keep the guard, in steps and their milliseconds: far longer than it
 * takes. Steps are counted, not time, as this process may be the one that was held up.
 */
const GUARD_STEPS_MAX = 500
const GUARD_STEP_MS = 1
/** As many processes would have to die inside the guard, one after the other. */
const CLAIMS_MAX = 1000

export function formatRecord(record: LockRecord): string {
  return `${JSON.stringify(record)}\n`
}

/** The record in `text`; undefined if it is empty, or no such record. */
export function parseRecord(text: string): LockRecord | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { pid, host, token, bootId, pidNamespace, startTime, kernelLock } = value as Record<
    string,
    unknown
  >
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return undefined
  // A token becomes part of a file name.
  if (typeof token !== 'string' || !/^[0-9a-f]{1,64}$/.test(token)) return undefined
  if (typeof host !== 'string') return undefined
  return {
    token,
    pid,
    host,
    bootId: typeof bootId === 'string' ? bootId : undefined,
    pidNamespace: typeof pidNamespace === 'string' ? pidNamespace : undefined,
    startTime: typeof startTime === 'string' ? startTime : undefined,
    kernelLock: kernelLock === true,
  }
}

/** Blocks this thread. */
export function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

/** The guard is held by a process that lives, or of which that cannot be told. */
export class GuardHeld extends Error {
  readonly owner: LockRecord | undefined
  readonly claim: string

  constructor(owner: LockRecord | undefined, claim: string) {
    super(`${claim} is held by process ${owner?.pid}`)
    this.owner = owner
    this.claim = claim
  }
}

/**
 * Runs `work` while no other process is inside `withGuard` for the same `path`. Throws
 * {@link GuardHeld} if another stays there too long, and the error of `link` where the file system
 * has no hard links. `judge` tells which claims are dead: with an accurate judge at most one process
 * is ever inside.
 */
export function withGuard<T>(
  path: string,
  mine: LockRecord,
  judge: Judge,
  work: (claims: readonly string[]) => T,
): T {
  const claims = claimGuard(path, mine, judge)
  try {
    return work(claims)
  } finally {
    for (const claim of claims) removeIfThere(claim)
  }
}

function claimGuard(path: string, mine: LockRecord, judge: Judge): string[] {
  const own = `${path}.by-${mine.token}`
  let placed: string | undefined
  try {
    // On a full disk the file is made, and stays empty.
    writeFileSync(own, formatRecord(mine), { flag: 'wx' })
    for (let step = 0; ; step++) {
      const { claims, last, next } = walk(path)
      if (last?.token === mine.token) {
        placed = undefined
        return claims
      }
      if (placed !== undefined) removeIfThere(placed)
      placed = undefined
      if (step === GUARD_STEPS_MAX) throw new GuardHeld(last, claims.at(-1) ?? next)
      if (last !== undefined && judge(last) !== 'dead') pause(GUARD_STEP_MS)
      else if (linkIfFree(own, next)) placed = next
    }
  } finally {
    if (placed !== undefined) removeIfThere(placed)
    removeIfThere(own)
  }
}

interface Chain {
  /** The claims, from the first name on. */
  readonly claims: string[]
  /** The record in the last of them; undefined if there is none, or it cannot be read. */
  readonly last: LockRecord | undefined
  /** The name that whoever comes after the last one has to claim. */
  readonly next: string
}

function walk(path: string): Chain {
  const claims: string[] = []
  let last: LockRecord | undefined
  let token = ''
  for (;;) {
    const next = token === '' ? `${path}.taking` : `${path}.taking-${token}`
    const text = readIfThere(next)
    if (text === undefined) return { claims, last, next }
    if (claims.length === CLAIMS_MAX) throw new GuardHeld(undefined, next)
    claims.push(next)
    // A claim appears with its record in it. One without has lost it with the power, and its owner
    // with it; the name stands in for its token.
    last = parseRecord(text)
    token = last?.token ?? `${token}lost`
  }
}

/**
 * Removes what dead processes left beside the lock at `path`: claims that no chain leads to any
 * more. Only for the owner of the guard, whose own `claims` it passes over.
 */
export function sweepClaims(path: string, claims: readonly string[], judge: Judge): void {
  const folder = dirname(path)
  const prefix = basename(path)
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`${prefix}.taking`) && !name.startsWith(`${prefix}.by-`)) continue
    const file = join(folder, name)
    if (claims.some((claim) => basename(claim) === name)) continue
    const record = parseRecord(readIfThere(file) ?? '')
    if (record !== undefined && judge(record) === 'dead') removeIfThere(file)
  }
}

function linkIfFree(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function removeIfThere(file: string): void {
  try {
    unlinkSync(file)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}
