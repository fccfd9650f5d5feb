import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { errnoOf } from '../base/index.ts'

// What tells one process from every other, now and later. A pid alone does not: it is used again,
// after a restart of the machine soon, and each container counts from 1. Linux shows the rest in
// /proc; elsewhere those fields are undefined and only the pid can be asked for.

export interface ProcessIdentity {
  readonly pid: number
  /** Of the machine, or of the container. */
  readonly host: string
  /** Random, new at each start of the kernel; all its containers share it. */
  readonly bootId: string | undefined
  /** The namespace in which `pid` counts, such as `pid:[4026531836]`. */
  readonly pidNamespace: string | undefined
  /** In clock ticks since the kernel started. */
  readonly startTime: string | undefined
}

/** `unknown`: it cannot be told from here, so neither may be assumed. */
export type Aliveness = 'alive' | 'dead' | 'unknown'

/** Reads a small file or link of /proc; undefined where there is none, or no permission. */
function attempt(read: () => string): string | undefined {
  try {
    return read().trim()
  } catch {
    return undefined
  }
}

interface ProcessStatus {
  readonly state: string
  readonly startTime: string
}

/**
 * Parses a /proc/<pid>/stat line: `pid (name) state ...`, where the start time is field 22. The name
 * may hold spaces and parentheses, so fields count from its last closing one.
 */
export function parseStat(line: string): ProcessStatus | undefined {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  const state = fields[0]
  const startTime = fields[19]
  return state && startTime && /^\d+$/.test(startTime) ? { state, startTime } : undefined
}

function statusOf(pid: number): ProcessStatus | undefined {
  const line = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'))
  return line === undefined ? undefined : parseStat(line)
}

/** False where /proc is missing, or counts pids in another namespace than this process does. */
function procIsOurs(): boolean {
  return attempt(() => readlinkSync('/proc/self')) === String(process.pid)
}

/** The identity of this process. */
export function thisProcess(): ProcessIdentity {
  const ours = procIsOurs()
  return {
    pid: process.pid,
    host: hostname(),
    bootId: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')),
    pidNamespace: ours ? attempt(() => readlinkSync('/proc/self/ns/pid')) : undefined,
    startTime: ours ? statusOf(process.pid)?.startTime : undefined,
  }
}

/**
 * Whether the process that `identity` names still runs, as seen from `self`.
 *
 * `dead` is only said when it is certain, on one condition: that two machines which share a file
 * system do not share a host name. Where the start time is not known (macOS, Windows) a process that
 * took over the pid counts as the one named.
 */
export function aliveness(
  identity: ProcessIdentity,
  self: ProcessIdentity = thisProcess(),
): Aliveness {
  if (identity.host !== self.host) return 'unknown'
  if (identity.bootId !== self.bootId) {
    const bothKnown = identity.bootId !== undefined && self.bootId !== undefined
    return bothKnown ? 'dead' : 'unknown'
  }
  if (identity.pidNamespace !== self.pidNamespace) return 'unknown'
  return observe(identity)
}

/** Aliveness of a process whose pid counts here. */
function observe({ pid, startTime }: ProcessIdentity): Aliveness {
  const status = procIsOurs() ? statusOf(pid) : undefined
  if (status === undefined) {
    // Either the process is gone, or /proc hides it from this user: the kernel tells which.
    const there = pidExists(pid)
    if (there !== 'alive') return there
    return startTime === undefined ? 'alive' : 'unknown'
  }
  if (startTime !== undefined && status.startTime !== startTime) return 'dead'
  return hasEnded(pid, status.state) ? 'dead' : 'alive'
}

/**
 * A zombie has ended but for its exit code, unless it is the first thread of a killed process that
 * has others left, which may still be inside a write.
 */
function hasEnded(pid: number, state: string): boolean {
  if (state === 'X') return true
  if (state !== 'Z') return false
  try {
    return readdirSync(`/proc/${pid}/task`).length <= 1
  } catch (error) {
    return errnoOf(error) === 'ENOENT'
  }
}

function pidExists(pid: number): Aliveness {
  try {
    process.kill(pid, 0)
    return 'alive'
  } catch (error) {
    const code = errnoOf(error)
    if (code === 'ESRCH') return 'dead'
    return code === 'EPERM' ? 'alive' : 'unknown'
  }
}
