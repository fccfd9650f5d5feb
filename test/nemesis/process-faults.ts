import { setTimeout as delay } from 'node:timers/promises'
import { claim, type Fault, type Field, release, someOf } from './fault.ts'
import { LOG_NAMES } from './logs.ts'

function listed(ids: readonly number[]): string {
  return ids.join(' and ')
}

async function killed(field: Field, count: number) {
  const { cluster } = field
  const ids = claim(field, 'kill', count)
  if (ids.length === 0) return undefined
  await Promise.all(ids.map((id) => cluster.kill(id)))
  return {
    text: `kill ${listed(ids)}`,
    harmed: ids,
    async heal() {
      await Promise.all(ids.map((id) => cluster.revive(id)))
      release(cluster, ids)
    },
  }
}

const kill: Fault = {
  name: 'kill',
  text: 'kill -9 of one member or more',
  strike: (field) => killed(field, someOf(field)),
}

const killAll: Fault = {
  name: 'kill-all',
  text: 'kill -9 of all members at once',
  strike: (field) => killed(field, field.cluster.ids.length),
}

const pause: Fault = {
  name: 'pause',
  text: 'SIGSTOP, for longer than an election takes, then SIGCONT',
  async strike(field) {
    const { cluster } = field
    const ids = claim(field, 'pause', someOf(field))
    if (ids.length === 0) return undefined
    for (const id of ids) cluster.pause(id)
    return {
      text: `pause ${listed(ids)}`,
      harmed: ids,
      async heal() {
        for (const id of ids) cluster.resume(id)
        release(cluster, ids)
      },
    }
  },
}

const restart: Fault = {
  name: 'restart',
  text: 'each member in turn is closed and started again',
  async strike(field) {
    const { cluster, draws } = field
    const ids = claim(field, 'restart', cluster.ids.length)
    if (ids.length === 0) return undefined
    const rolling = (async () => {
      for (const id of ids) {
        await cluster.place(id).process.end('SIGTERM')
        await delay(draws.integer(0, 300))
        await cluster.revive(id)
        await delay(draws.integer(0, 500))
      }
    })()
    return {
      text: `restart ${listed(ids)} in turn`,
      harmed: ids,
      async heal() {
        await rolling
        release(cluster, ids)
      },
    }
  },
}

const transfer: Fault = {
  name: 'transfer',
  text: 'another member is made the leader of a log',
  async strike({ cluster, draws }) {
    const log = draws.pick([...LOG_NAMES, '$catalog'])
    const from = await cluster.leader(log)
    if (from === undefined) return undefined
    const to = draws.pick(cluster.ids.filter((id) => id !== from))
    // It may lead no more by now.
    await cluster
      .place(from)
      .process.ask('transfer', { log, to })
      .catch(() => {})
    return { text: `transfer ${log} from ${from} to ${to}`, harmed: [], async heal() {} }
  },
}

const jump: Fault = {
  name: 'clocks',
  text: 'wall clocks are minutes wrong and jump; monotonic ones run at 0.7 to 1.3 of their speed',
  async strike({ cluster, draws }) {
    const id = draws.pick(cluster.ids)
    const ms = draws.integer(-600_000, 600_000)
    const { process, isPaused } = cluster.place(id)
    if (isPaused || !process.isReady) return undefined
    void process.ask('jump', { ms }).catch(() => {})
    const text = `the clock of ${id} jumps by ${(ms / 1000).toFixed(0)} s`
    return { text, harmed: [], async heal() {} }
  },
}

export const PROCESS_FAULTS: readonly Fault[] = [kill, killAll, pause, restart, transfer, jump]
