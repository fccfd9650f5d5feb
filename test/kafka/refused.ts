// Failures: with which code, how soon, and what is left open after them.
import assert from 'node:assert/strict'
import { createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type ErrorCode, TidemarkError } from 'tidemark'
import { withAdmin } from './topics.ts'

/** How much later than it should a call may end, on a machine that is busy. */
const GRACE_MS = 1_000

export interface Refused {
  readonly code: ErrorCode | readonly ErrorCode[]
  readonly text?: RegExp
  readonly withinMs: number
}

export async function refused(
  promise: Promise<unknown>,
  { code, text, withinMs }: Refused,
): Promise<TidemarkError> {
  const begun = performance.now()
  const error = await promise.then(
    (value) => assert.fail(`it has worked: ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  )
  const ms = performance.now() - begun
  if (!(error instanceof TidemarkError)) throw error
  const codes = [code].flat()
  assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`)
  if (text) assert.match(error.message, text)
  assert.ok(ms < withinMs + GRACE_MS, `${ms.toFixed(0)} ms, not ${withinMs}: ${error.message}`)
  return error
}

/** Throws if this process has connections that keep it alive. */
export async function nothingIsOpen(): Promise<void> {
  const open = () => process.getActiveResourcesInfo().filter((name) => /TCP|TLS/.test(name))
  for (let tries = 50; open().length > 0 && tries > 0; tries--) await delay(20)
  assert.deepEqual(open(), [])
}

/** A server that does with connections what `serve` says. Resolves with its address. */
export async function fakeBroker(
  t: TestContext,
  serve: (socket: Socket) => void,
): Promise<{ address: string; stop: () => Promise<void> }> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    serve(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stop = () =>
    new Promise<void>((resolve) => {
      for (const socket of sockets) socket.destroy()
      server.close(() => resolve())
    })
  t.after(stop)
  const { port } = server.address() as { port: number }
  return { address: `127.0.0.1:${port}`, stop }
}

export function deleteTopic(brokers: readonly string[], topic: string): Promise<void> {
  return withAdmin(brokers[0]!, (admin) => admin.deleteTopics({ topics: [topic] }))
}

const TOPIC = 2
const SET = 0

export function alterTopic(
  brokers: readonly string[],
  topic: string,
  name: string,
  value: string,
): Promise<void> {
  const configs = [{ name, value, configOperation: SET } as const]
  const resources = [{ resourceType: TOPIC, resourceName: topic, configs } as const]
  return withAdmin(brokers[0]!, (admin) => admin.incrementalAlterConfigs({ resources }))
}
