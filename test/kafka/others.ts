// Other programs, by the client's own producer and consumer.
import { ProduceAcks, Producer } from '@platformatic/kafka'

export interface Message {
  readonly key?: string
  readonly value?: string
  readonly headers?: Readonly<Record<string, string>>
}

type OtherProducer = Producer<Buffer, Buffer, Buffer, Buffer>
type Send = NonNullable<Parameters<OtherProducer['send']>[0]>
export type Codec = NonNullable<Send['compression']>

/** A producer that is closed when `use` is over; with transactions if it has an id for them. */
export async function withProducer<T>(
  brokers: readonly string[],
  use: (producer: OtherProducer) => Promise<T>,
  transactionalId?: string,
): Promise<T> {
  const producer: OtherProducer = new Producer({
    clientId: 'another',
    bootstrapBrokers: [...brokers],
    retries: 20,
    retryDelay: 50,
    ...(transactionalId && { transactionalId, idempotent: true }),
  })
  try {
    return await use(producer)
  } finally {
    await producer.close()
  }
}

/** All of them in one batch of partition 0. */
export function sendOf(topic: string, all: readonly Message[], compression?: Codec): Send {
  const messages = all.map(({ key, value, headers }) => ({
    topic,
    partition: 0,
    ...(key !== undefined && { key: Buffer.from(key) }),
    ...(value !== undefined && { value: Buffer.from(value) }),
    ...(headers && {
      headers: new Map(
        Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)]),
      ),
    }),
  }))
  return { messages, acks: ProduceAcks.ALL, ...(compression && { compression }) }
}

export function produce(
  brokers: readonly string[],
  topic: string,
  all: readonly Message[],
  compression?: Codec,
): Promise<unknown> {
  return withProducer(brokers, (producer) => producer.send(sendOf(topic, all, compression)))
}
