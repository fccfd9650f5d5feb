import { setTimeout as delay } from 'node:timers/promises'
import { type DiskState, HEALTHY } from './disk.ts'
import { claim, type Fault, type Field, release, someOf } from './fault.ts'

/** What a disk that fails may be told of as. */
const FAILED = ['IO', 'POISONED', 'ENOSPC', 'EIO']

async function spoil(field: Field, name: string, state: Partial<DiskState>, count: number) {
  const { cluster } = field
  const ids = claim(field, name, count)
  if (ids.length === 0) return undefined
  for (const id of ids) {
    const { process, expected } = cluster.place(id)
    if (name !== 'slow-disk') for (const code of FAILED) expected.add(code)
    await process.ask('disk', { ...HEALTHY, ...state }).catch(() => {})
  }
  return {
    text: `${name} ${ids.join(' and ')}`,
    harmed: ids,
    async heal() {
      for (const id of ids)
        await cluster
          .place(id)
          .process.ask('disk', HEALTHY)
          .catch(() => {})
      release(cluster, ids)
    },
  }
}

const full: Fault = {
  name: 'full-disk',
  text: 'writes fail with ENOSPC',
  strike: (field) => spoil(field, 'full-disk', { isFull: true }, someOf(field)),
}

const sync: Fault = {
  name: 'sync',
  text: 'syncs fail with EIO, and what they were to save goes with the power',
  strike: (field) => spoil(field, 'sync', { failsToSync: true }, someOf(field)),
}

const slow: Fault = {
  name: 'slow-disk',
  text: 'each write and sync takes up to 300 ms longer',
  strike(field) {
    const delayMs = field.draws.integer(10, 300)
    return spoil(field, 'slow-disk', { delayMs }, someOf(field))
  },
}

const LAG_MS = 500

async function powerLoss(field: Field, count: number) {
  const { cluster, draws } = field
  const ids = claim(field, 'power', count)
  if (ids.length === 0) return undefined
  // Some pause meanwhile, so that those who are left have to decide without them.
  const others = draws.chance(0.5) ? claim(field, 'power', Math.max(1, cluster.majority - 1)) : []
  for (const id of others) cluster.pause(id)
  // A disk that lags has more to lose.
  if (draws.chance(0.5)) {
    const lag = { ...HEALTHY, delayMs: LAG_MS }
    await Promise.all(
      ids.map((id) =>
        cluster
          .place(id)
          .process.ask('disk', lag)
          .catch(() => {}),
      ),
    )
    await delay(draws.between(0, 2 * LAG_MS))
  }
  await Promise.all(
    ids.map((id) =>
      cluster
        .place(id)
        .process.ask('lose', {})
        .catch(() => {}),
    ),
  )
  const paused = others.length === 0 ? '' : ` while ${others.join(' and ')} pause`
  return {
    text: `power of ${ids.join(' and ')} lost${paused}`,
    harmed: [...ids, ...others],
    async heal() {
      await Promise.all(ids.map((id) => cluster.revive(id)))
      for (const id of others) cluster.resume(id)
      release(cluster, [...ids, ...others])
    },
  }
}

const power: Fault = {
  name: 'power',
  text: 'a machine or more lose power, and what was not synced; others may pause meanwhile',
  strike: (field) => powerLoss(field, someOf(field)),
}

const powerAll: Fault = {
  name: 'power-all',
  text: 'all machines lose power at once, and what was not synced',
  strike: (field) => powerLoss(field, field.cluster.ids.length),
}

export const DISK_FAULTS: readonly Fault[] = [full, sync, slow, power, powerAll]
