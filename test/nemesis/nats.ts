// What Jepsen has found in NATS 2.12.1, on members of this library (docs/quorum.md, Hazards).
import { readdirSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { addMember, removeMember } from './churn.ts'
import type { Cluster } from './cluster.ts'
import { HEALTHY } from './disk.ts'
import { flipBits, storesOf } from './rot.ts'
import { acknowledgedMore, type Scenario, type Stage } from './scenario.ts'

const BITS = 20
const LAG_MS = 400

/** The power of these members goes, with what their disks have not synced; they lag, so that there is some. */
async function losePower(cluster: Cluster, ids: readonly number[]): Promise<void> {
  const to = (what: 'disk' | 'lose') =>
    Promise.all(
      ids.map((id) => {
        const { process } = cluster.place(id)
        const asked =
          what === 'disk'
            ? process.ask('disk', { ...HEALTHY, delayMs: LAG_MS })
            : process.ask('lose', {})
        return asked.catch(() => {})
      }),
    )
  await to('disk')
  await delay(LAG_MS)
  await to('lose')
}

async function allLosePower({ cluster, workload, say }: Stage): Promise<string[]> {
  for (let round = 1; round <= 2; round++) {
    await acknowledgedMore(workload, 20)
    say(`${round}: all members lose power, with what was not synced`)
    await losePower(cluster, cluster.ids)
    await Promise.all(cluster.ids.map((id) => cluster.revive(id)))
  }
  return []
}

/** With n1 and n2 paused, n3 loses its end; then n3, n1 and n2 are to decide without n4 and n5, who have it. */
async function oneLosesPowerWhileTwoPause({ cluster, workload, draws, say }: Stage) {
  for (let round = 1; round <= 2; round++) {
    const [n1, n2, n3, n4, n5] = draws.shuffle(cluster.ids) as [
      number,
      number,
      number,
      number,
      number,
    ]
    say(`${round}: ${n1} and ${n2} pause, ${n3} loses power`)
    cluster.pause(n1)
    cluster.pause(n2)
    await acknowledgedMore(workload, 20)
    await losePower(cluster, [n3])
    say(`${round}: ${n4} and ${n5} pause, and ${n1}, ${n2}, ${n3} go on`)
    cluster.pause(n4)
    cluster.pause(n5)
    cluster.resume(n1)
    cluster.resume(n2)
    await cluster.revive(n3)
    await acknowledgedMore(workload, 20)
    cluster.resume(n4)
    cluster.resume(n5)
    await acknowledgedMore(workload, 20)
  }
  return []
}

async function bitsTurnInAMinority({ cluster, workload, draws, say }: Stage): Promise<string[]> {
  await acknowledgedMore(workload, 200)
  const damaged = draws.shuffle(cluster.ids).slice(0, 2)
  say(`bits turn in the logs of ${damaged.join(' and ')}, which are down`)
  await Promise.all(damaged.map((id) => cluster.kill(id)))
  for (const id of damaged) {
    cluster.place(id).expected.add('CORRUPT')
    for (const store of storesOf(cluster.dirOf(id), 'newest')) flipBits(store, draws, BITS)
  }
  // One more is away when they are back: what they say decides.
  const away = cluster.ids.find((id) => !damaged.includes(id))!
  await cluster.kill(away)
  await Promise.all(damaged.map((id) => cluster.revive(id)))
  await acknowledgedMore(workload, 50)
  await cluster.revive(away)
  await acknowledgedMore(workload, 50)
  return []
}

function foldersOf(cluster: Cluster, id: number): string {
  return readdirSync(join(cluster.dirOf(id), 'logs'))
    .sort()
    .join()
}

async function catalogsAreDamaged({ cluster, workload, draws, say }: Stage): Promise<string[]> {
  const [first, second] = draws.shuffle(cluster.ids) as [number, number]
  const before = new Map(cluster.ids.map((id) => [id, foldersOf(cluster, id)]))
  await Promise.all([first, second].map((id) => cluster.kill(id)))
  for (const id of [first, second]) cluster.place(id).expected.add('CORRUPT')
  say(`the catalog of ${first} is damaged, that of ${second} is emptied`)
  for (const store of storesOf(cluster.dirOf(first), undefined, '0')) flipBits(store, draws, BITS)
  const folder = join(cluster.dirOf(second), 'logs', '0')
  for (const name of readdirSync(folder)) {
    if (name === 'snapshots') rmSync(join(folder, name), { recursive: true })
    else truncateSync(join(folder, name), 0)
  }
  await Promise.all([first, second].map((id) => cluster.revive(id)))
  await acknowledgedMore(workload, 100)
  const faults: string[] = []
  for (const id of cluster.ids) {
    const after = foldersOf(cluster, id)
    if (before.get(id) === after) continue
    faults.push(`member ${id} had the logs ${before.get(id)}, and has ${after}`)
  }
  const isUp = cluster.place(second).process.isReady
  say(`${second} ${isUp ? 'has got the catalog from others' : 'does not start'}`)
  if (!isUp) faults.push(`${second} does not get the catalog back`)
  cluster.refusedStarts.length = 0
  return faults
}

async function membersChange({ cluster, workload, draws, say }: Stage): Promise<string[]> {
  const faults: string[] = []
  for (let round = 1; round <= 2; round++) {
    const [old, killed] = draws.shuffle(cluster.ids) as [number, number]
    say(`${round}: a member is added, while ${killed} is killed and ${old} is cut off`)
    const adding = addMember(cluster)
    await cluster.kill(killed)
    await delay(300)
    await cluster.revive(killed)
    cluster.network.cut(
      [old],
      cluster.ids.filter((id) => id !== old),
    )
    await delay(1000)
    cluster.network.heal()
    if ((await adding) === undefined) faults.push(`${round}: the member was not added`)
    say(`${round}: ${old} is removed, while ${killed} is killed`)
    const removing = removeMember(cluster, old)
    await cluster.kill(killed)
    await delay(300)
    await cluster.revive(killed)
    if (!(await removing)) faults.push(`${round}: ${old} was not removed`)
    await acknowledgedMore(workload, 50)
  }
  return faults
}

export const NATS: readonly Scenario[] = [
  {
    name: 'nats-7564',
    text: 'all members lose power right after acknowledgements',
    members: 3,
    play: allLosePower,
  },
  {
    name: 'nats-7567',
    text: 'one member loses power while two pause, and those three go on alone',
    members: 5,
    replicas: 5,
    isLong: true,
    play: oneLosesPowerWhileTwoPause,
  },
  {
    name: 'nats-7549',
    text: 'bits turn in the logs of a minority, which is needed for a majority then',
    members: 5,
    replicas: 5,
    isLong: true,
    play: bitsTurnInAMinority,
  },
  {
    name: 'nats-7556',
    text: 'catalogs of a minority are damaged and emptied: no log is deleted anywhere',
    members: 5,
    replicas: 5,
    play: catalogsAreDamaged,
  },
  {
    name: 'nats-7545',
    text: 'members are added and removed while others are killed and cut off',
    members: 3,
    isLong: true,
    play: membersChange,
  },
]
