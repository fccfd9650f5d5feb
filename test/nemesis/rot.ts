// Bits that turn, and files that are cut, in the logs of one member.
import {
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Draws } from '#dist/testing/index.js'
import type { Cluster } from './cluster.ts'
import { claim, type Fault, type Field, release } from './fault.ts'

const BITS_MAX = 20
const WHOLE_AFTER_MS = 60_000
const LOOK_EVERY_MS = 100

/** The stores of a member's logs, those of one log in order; `isNewest` for the last of each alone. */
export function storesOf(dir: string, only?: 'newest' | 'sealed', log?: string): string[] {
  const logs = join(dir, 'logs')
  const found: string[] = []
  for (const name of log === undefined ? readdirSync(logs) : [log]) {
    const stores = readdirSync(join(logs, name))
      .filter((file) => file.endsWith('.store'))
      .sort()
    const from = only === 'newest' ? stores.length - 1 : 0
    const to = only === 'sealed' ? stores.length - 1 : stores.length
    for (const store of stores.slice(Math.max(0, from), to)) found.push(join(logs, name, store))
  }
  return found
}

/** Turns bits in what was written of a file. Returns how many. */
export function flipBits(path: string, draws: Draws, count: number): number {
  const fd = openSync(path, 'r+')
  try {
    const bytes = Buffer.alloc(fstatSync(fd).size)
    readSync(fd, bytes, 0, bytes.length, 0)
    let end = bytes.length
    // Behind the end there is room that is reserved: nothing is there to be damaged.
    while (end > 0 && bytes[end - 1] === 0) end--
    if (end === 0) return 0
    for (let i = 0; i < count; i++) {
      const at = draws.integer(0, end - 1)
      const byte = Buffer.from([bytes[at]! ^ (1 << draws.integer(0, 7))])
      writeSync(fd, byte, 0, 1, at)
    }
    return count
  } finally {
    closeSync(fd)
  }
}

/** All replicas of all members run and have no holes. */
export async function isWhole(cluster: Cluster, ids: readonly number[]): Promise<boolean> {
  for (const id of ids) {
    const replicas = await cluster.replicas(id)
    if (!replicas?.every(({ holes, failure }) => holes === 0 && failure === undefined)) return false
  }
  return true
}

interface RotOptions {
  readonly only: 'newest' | 'sealed'
  readonly cuts: boolean
}

async function rot(field: Field, name: string, { only, cuts }: RotOptions) {
  const { cluster, draws } = field
  if (!(await isWhole(cluster, cluster.ids))) return undefined
  const [id] = claim(field, name, 1)
  if (id === undefined) return undefined
  const isDown = only === 'newest' || draws.chance(0.5)
  cluster.place(id).expected.add('CORRUPT')
  if (isDown) await cluster.kill(id)
  const stores = draws.shuffle(storesOf(cluster.dirOf(id), only)).slice(0, draws.integer(1, 3))
  let bits = 0
  for (const store of stores) {
    if (cuts && draws.chance(0.3)) truncateSync(store, draws.integer(0, statSync(store).size))
    else bits += flipBits(store, draws, draws.integer(1, BITS_MAX))
  }
  return {
    text: `${name}: ${bits} bits in ${stores.length} files of ${id}${isDown ? ', which is down' : ''}`,
    harmed: [id],
    async heal() {
      await cluster.revive(id)
      const end = performance.now() + WHOLE_AFTER_MS
      while (!(await isWhole(cluster, [id])) && performance.now() < end) {
        if (!cluster.ids.includes(id)) return
        await delay(LOOK_EVERY_MS)
      }
      // Kept by the claim otherwise: no other member may be damaged before this one is whole.
      if (await isWhole(cluster, [id])) release(cluster, [id])
    },
  }
}

const newest: Fault = {
  name: 'rot-end',
  text: 'bits turn in the newest files of a member that is down',
  strike: (field) => rot(field, 'rot-end', { only: 'newest', cuts: false }),
}

const sealed: Fault = {
  name: 'rot',
  text: 'bits turn in sealed files of a member, and files are cut',
  strike: (field) => rot(field, 'rot', { only: 'sealed', cuts: true }),
}

export const ROT_FAULTS: readonly Fault[] = [newest, sealed]
