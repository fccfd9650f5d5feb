// Topics of a cluster, asked of one of its brokers.
import { setTimeout as delay } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'

const TRY_MS = 5_000
const RETRY_MS = 50
/** Errors that no later try would change. */
const FINAL = ['INVALID_TOPIC_EXCEPTION', 'INVALID_CONFIG', 'INVALID_PARTITIONS']

export interface TopicOptions {
  readonly partitions?: number
  /** As many as there are brokers, unless said otherwise. */
  readonly replicas?: number
  readonly config?: Readonly<Record<string, string>>
}

/** Tries until it is done or `until`, a time of `performance.now()`. */
export async function createTopic(
  broker: () => string,
  name: string,
  options: Required<TopicOptions>,
  until: number,
): Promise<void> {
  const { partitions, replicas, config } = options
  const configs = Object.entries(config).map(([key, value]) => ({ name: key, value }))
  const request = { topics: [name], partitions, replicas, configs }
  for (let tries = 1; ; tries++) {
    try {
      await withAdmin(broker(), (admin) => admin.createTopics(request))
      return
    } catch (error) {
      const isThere = isOf(error, 'TOPIC_ALREADY_EXISTS')
      // An earlier answer may have been lost.
      if (isThere && tries > 1) return
      const isFinal = isThere || FINAL.some((id) => isOf(error, id))
      if (isFinal || performance.now() > until) throw error
      await delay(RETRY_MS)
    }
  }
}

/** Resolves when the broker knows who leads each partition; rejects at `until`. */
export async function untilLed(
  broker: string,
  name: string,
  partitions: number,
  until: number,
): Promise<void> {
  for (;;) {
    const leaders = await leadersOf(broker, name).catch((error: unknown) => [`none: ${error}`])
    if (leaders.length === partitions && leaders.every((leader) => Number(leader) > 0)) return
    if (performance.now() > until) {
      throw new Error(`${broker} does not know all leaders of ${name}: ${leaders.join(', ')}`)
    }
    await delay(RETRY_MS)
  }
}

/** The id of the node that leads, for each partition as this broker knows it; -1 where nobody leads. */
export async function leadersOf(broker: string, topic: string): Promise<number[]> {
  const { topics } = await withAdmin(broker, (admin) => admin.metadata({ topics: [topic] }))
  return (topics.get(topic)?.partitions ?? []).map(({ leader }) => leader)
}

export async function withAdmin<T>(broker: string, ask: (admin: Admin) => Promise<T>): Promise<T> {
  const common = { clientId: 'tidemark-test', retries: 0, timeout: TRY_MS, connectTimeout: TRY_MS }
  const admin = new Admin({ ...common, bootstrapBrokers: [broker] })
  try {
    return await ask(admin)
  } finally {
    await admin.close()
  }
}

function isOf(error: unknown, id: string): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { apiId, errors, cause } = error as { apiId?: string; errors?: unknown; cause?: unknown }
  if (apiId === id || isOf(cause, id)) return true
  const parts = typeof errors === 'object' && errors !== null ? Object.values(errors) : []
  return parts.some((part) => isOf(part, id))
}
