import { setTimeout as delay } from 'node:timers/promises'
import { freePorts } from '../quorum/members/trio.ts'
import type { Cluster } from './cluster.ts'
import type { Fault, Field } from './fault.ts'

const SETTLED_AFTER_MS = 60_000
const LOOK_EVERY_MS = 200

/** Asks one member after the other until one does it. */
async function insist(
  cluster: Cluster,
  ask: (id: number) => Promise<unknown>,
  isDone: () => Promise<boolean>,
): Promise<boolean> {
  const end = performance.now() + SETTLED_AFTER_MS
  for (let i = 0; performance.now() < end; i++) {
    if (await isDone()) return true
    const ids = cluster.ids.filter((id) => !cluster.place(id).isPaused)
    if (ids.length > 0) await ask(ids[i % ids.length]!).catch(() => {})
    await delay(LOOK_EVERY_MS)
  }
  return isDone()
}

/** What most members say of another one. */
async function stateOf(cluster: Cluster, id: number): Promise<string | undefined> {
  const counts = new Map<string | undefined, number>()
  for (const { id: asked, process, isPaused } of cluster.places) {
    if (isPaused || asked === id) continue
    const answer = await process.ask('status', {}).catch(() => undefined)
    if (!answer) continue
    const state = answer.members.find((one) => one.id === id)?.state
    counts.set(state, (counts.get(state) ?? 0) + 1)
  }
  for (const [state, count] of counts) if (count >= cluster.majority) return state ?? 'none'
  return undefined
}

/** Adds a member in a folder of its own. Resolves with its id, or undefined if it was not taken in time. */
export async function addMember(cluster: Cluster): Promise<number | undefined> {
  const [port] = await freePorts(1)
  const { id } = cluster.add(port!, true)
  cluster.place(id).claim = 'churn'
  void cluster.revive(id)
  const address = `127.0.0.1:${port}`
  const isIn = await insist(
    cluster,
    (by) =>
      by === id ? Promise.resolve() : cluster.place(by).process.ask('addMember', { id, address }),
    async () => (await stateOf(cluster, id)) === 'member',
  )
  if (cluster.ids.includes(id)) cluster.place(id).claim = undefined
  return isIn ? id : undefined
}

/** Removes a member, and ends its process. Resolves with whether it was done in time. */
export async function removeMember(cluster: Cluster, id: number): Promise<boolean> {
  const isOut = await insist(
    cluster,
    (by) => (by === id ? Promise.resolve() : cluster.place(by).process.ask('removeMember', { id })),
    async () => (await stateOf(cluster, id)) === 'none',
  )
  if (isOut) await cluster.forget(id)
  return isOut
}

async function strike({ cluster, draws }: Field) {
  if (cluster.isChanging) return undefined
  cluster.isChanging = true
  const old = draws.pick(cluster.ids)
  const changing = (async () => {
    const added = await addMember(cluster)
    return added !== undefined && (await removeMember(cluster, old))
  })()
  return {
    text: `churn: another member for ${old}`,
    harmed: [],
    async heal() {
      await changing
      cluster.isChanging = false
    },
  }
}

export const CHURN: Fault = {
  name: 'churn',
  text: 'a member is added, and another removed',
  strike,
}
