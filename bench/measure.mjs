import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { PeerMissing } from './peers.mjs'

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The median time of `count` calls, one after the other, in µs. */
export async function typicalMicros(count, call) {
  const times = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const begun = performance.now()
    await call(i)
    times[i] = performance.now() - begun
  }
  return median(times) * 1000
}

/** The same for calls that block, without a turn of the microtask queue in between. */
export function typicalMicrosSync(count, call) {
  const times = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const begun = performance.now()
    call(i)
    times[i] = performance.now() - begun
  }
  return median(times) * 1000
}

/** How many a second, where `work` does `count` of them. */
export async function perSecond(count, work) {
  const begun = performance.now()
  await work()
  return (count * 1000) / (performance.now() - begun)
}

/** Runs `writers` loops at once that share `count` calls of `call`, each awaited by its loop. */
export async function concurrently(writers, count, call) {
  let next = 0
  const loop = async () => {
    while (next < count) await call(next++)
  }
  await Promise.all(Array.from({ length: writers }, loop))
}

/** Prepares the contestants of a row; one whose peer is missing is left out, with the reason. */
async function prepareAll(row, context) {
  const subjects = []
  const missing = {}
  for (const [i, contestant] of row.contestants.entries()) {
    const folder = join(context.folder, String(i))
    mkdirSync(folder, { recursive: true })
    try {
      subjects.push({ name: contestant.name, ...(await contestant.prepare(folder, context)) })
    } catch (error) {
      if (!(error instanceof PeerMissing)) {
        for (const subject of subjects) await subject.close?.()
        throw error
      }
      missing[contestant.name] = error.message
    }
  }
  return { subjects, missing }
}

/**
 * Measures a row: each contestant once to warm up, then all of them in turn, as often as asked; who
 * begins a turn changes. Returns all values, by contestant.
 */
export async function measureRow(row, context) {
  mkdirSync(context.folder, { recursive: true })
  const { subjects, missing } = await prepareAll(row, context)
  const values = Object.fromEntries(subjects.map(({ name }) => [name, []]))
  try {
    const warmups = row.needsNoWarmup ? 0 : 1
    const turns = row.isMeasuredOnce ? 1 : context.runs * (row.slices ?? 1)
    for (let turn = -warmups; turn < turns; turn++) {
      for (let i = 0; i < subjects.length; i++) {
        const subject = subjects[(i + turn + subjects.length) % subjects.length]
        globalThis.gc?.()
        const value = await subject.measure()
        if (turn >= 0) values[subject.name].push(value)
      }
    }
  } finally {
    for (const subject of subjects) await subject.close?.()
    rmSync(context.folder, { recursive: true, force: true })
  }
  return { values, missing }
}
