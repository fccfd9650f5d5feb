// A process that locks and releases as it is told over IPC. Started by node-lock.test.ts.
import fs, { appendFileSync, linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { errnoOf, TidemarkError } from '#dist/base/index.js'
import type { FileLock } from '#dist/io/files.js'
import { lockSync } from '#dist/io/node-lock.js'
import { aliveness, thisProcess } from '#dist/io/process-identity.js'

export interface Request {
  /**
   * `race`: lock, and make sure to be alone. `churn`: lock, make sure and release, again and again,
   * and die at any moment; the file `<path>-count` gets a byte for each time.
   * `idle`: hold the lock without anything else that would keep the process alive.
   */
  readonly action: 'lock' | 'release' | 'race' | 'churn' | 'idle'
  readonly path: string
  /** race: when to start. churn: when to stop. Milliseconds since 1970. */
  readonly at?: number
}

export interface Reply {
  readonly result: 'done' | 'LOCKED' | 'not alone' | 'failed'
  readonly pid?: number | undefined
  readonly message?: string
}

let lock: FileLock | undefined

/** Creates the witness file; throws if another living process is in the critical section. */
function enter(witness: string): void {
  for (;;) {
    try {
      // Linked and not written: it is never without the pid.
      linkSync(`${witness}-${process.pid}`, witness)
      return
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
    }
    const pid = readFileSync(witness, 'utf8')
    waitForEnd(Number(pid))
    // Only a living process removes or replaces its witness.
    if (readFileSync(witness, 'utf8') !== pid) throw new Error(`not alone: ${pid} was here too`)
    unlinkSync(witness)
  }
}

/** The kernel drops the locks of a killed process a little before it counts as dead. */
function waitForEnd(pid: number): void {
  const other = { ...thisProcess(), pid, startTime: undefined }
  for (let wait = 0; aliveness(other) === 'alive'; wait++) {
    if (wait === 1000) throw new Error(`not alone: ${pid} is here too`)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
  }
}

function race(path: string, at: number): Reply {
  while (Date.now() < at);
  lock = lockSync(path)
  writeFileSync(`${path}-witness`, '', { flag: 'wx' })
  return { result: 'done' }
}

/**
 * Makes the steps of taking a lock slow, so that processes meet in all of them, and now and then
 * deadly, before or after the step.
 */
function endanger(): void {
  const maybe = () => {
    const chance = Math.random()
    if (chance < 0.003) process.kill(process.pid, 'SIGKILL')
    if (chance < 0.1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, chance * 20)
  }
  const steps = [
    'linkSync',
    'unlinkSync',
    'ftruncateSync',
    'readFileSync',
    'writeFileSync',
  ] as const
  for (const name of steps) {
    const step: (...args: never[]) => unknown = fs[name]
    const dangerous = (...args: never[]) => {
      maybe()
      try {
        return step(...args)
      } finally {
        maybe()
      }
    }
    Object.assign(fs, { [name]: dangerous })
  }
  syncBuiltinESMExports()
}

function churn(path: string, until: number): Reply {
  writeFileSync(`${path}-witness-${process.pid}`, String(process.pid))
  endanger()
  while (Date.now() < until) {
    try {
      lock = lockSync(path)
    } catch (error) {
      if (error instanceof TidemarkError && error.code === 'LOCKED') continue
      throw error
    }
    appendFileSync(`${path}-count`, '.')
    enter(`${path}-witness`)
    for (const end = performance.now() + Math.random(); performance.now() < end; );
    unlinkSync(`${path}-witness`)
    lock.releaseSync()
    for (const end = performance.now() + Math.random(); performance.now() < end; );
  }
  return { result: 'done' }
}

function perform({ action, path, at = 0 }: Request): Reply {
  if (action === 'race') return race(path, at)
  if (action === 'churn') return churn(path, at)
  if (action === 'release') lock?.releaseSync()
  else lock = lockSync(path)
  return { result: 'done' }
}

function attempt(request: Request): Reply {
  try {
    return perform(request)
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    if (error instanceof TidemarkError && error.code === 'LOCKED') {
      return { result: 'LOCKED', pid: error.details.pid, message }
    }
    const alone = errnoOf(error) !== 'EEXIST' && !message.includes('not alone')
    return { result: alone ? 'failed' : 'not alone', message }
  }
}

process.on('message', (request: Request) => {
  process.send?.(attempt(request), undefined, undefined, () => {
    // Without the channel, nothing but the lock is left.
    if (request.action === 'idle') process.disconnect()
  })
})
