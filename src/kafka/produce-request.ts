import type { Client } from './client.ts'

const ACKS_ALL = -1

export interface ProduceAsk {
  readonly transactionalId: string | null
  /** How long the leader may wait for the replicas in sync. */
  readonly timeoutMs: number
  readonly topic: string
  readonly partition: number
  readonly batch: Buffer
}

/** The body of a Produce request, version 9: one batch, which is made here and not by the client. */
export function encodeProduce(
  client: Client,
  ask: ProduceAsk,
): ReturnType<Client['Writer']['create']> {
  const { transactionalId, timeoutMs, topic, partition, batch } = ask
  return client.Writer.create()
    .appendString(transactionalId)
    .appendInt16(ACKS_ALL)
    .appendInt32(timeoutMs)
    .appendArray([topic], (topics, name) =>
      topics.appendString(name).appendArray([partition], (partitions, index) =>
        partitions
          .appendInt32(index)
          .appendUnsignedVarInt(batch.length + 1)
          .append(batch),
      ),
    )
    .appendTaggedFields()
}
