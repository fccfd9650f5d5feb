import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { nodeClock, nodeRandom } from '#dist/io/index.js'
import {
  type RefusedEvent,
  Transport,
  type TransportOptions,
} from '#dist/quorum/transport/index.js'

// Members that only talk, over real sockets of this machine.

export const KIND = 16

export interface TestMember {
  readonly id: number
  readonly transport: Transport
  readonly refused: RefusedEvent[]
  /** `up 2`, `down 2`, `unreachable 2`, and `2: text` for a frame. */
  readonly told: string[]
  say(to: number, text: string): boolean
}

/** Nobody listens at this address. */
export const NOWHERE = '127.0.0.1:1'

export async function startMember(
  id: number,
  peers: Readonly<Record<number, string>>,
  options: Partial<TransportOptions> = {},
): Promise<TestMember> {
  const refused: RefusedEvent[] = []
  const told: string[] = []
  const transport = await Transport.open({
    id,
    cluster: 'test',
    incarnation: Buffer.alloc(16, id),
    founders: Buffer.alloc(8),
    listen: '127.0.0.1:0',
    peers: new Map(Object.entries(peers).map(([peer, address]) => [Number(peer), address])),
    clock: nodeClock,
    random: nodeRandom,
    silenceMs: 2000,
    waitingBytesMax: 2 ** 22,
    onFrame: (from, { head, data }) => {
      if (head.equals(Buffer.from('throw'))) throw new Error('what is this?')
      told.push(`${from}: ${head}${data}`)
    },
    onUp: (peer) => told.push(`up ${peer.id}`),
    onDown: (peer) => told.push(`down ${peer}`),
    onUnreachable: (peer) => told.push(`unreachable ${peer}`),
    onRefused: (event) => refused.push(event),
    ...options,
  })
  const say = (to: number, text: string) => transport.send(to, KIND, Buffer.from(text), [])
  return { id, transport, refused, told, say }
}

export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    if (condition()) return
    await sleep(5)
  }
  assert.fail(`not within 10 s: ${what}`)
}

/** Both sides hear each other. */
export async function assertTalking(a: TestMember, b: TestMember): Promise<void> {
  await until(() => a.transport.isConnected(b.id) && b.transport.isConnected(a.id), 'connected')
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const text = `hello ${from.told.length} ${to.told.length}`
    assert(from.say(to.id, text))
    await until(() => to.told.includes(`${from.id}: ${text}`), 'a frame has come')
  }
}
