import { TidemarkError } from '../base/index.ts'
import type { Client, Connection } from './client.ts'

const ACKS_ALL = -1

const API_KEY = 0
/** The first that names the topic by its id: what is meant for one that was deleted does not go to another of its name. */
const VERSION_BY_ID = 13
/** What all brokers speak that have ids of topics. */
export const VERSION_BY_NAME = 9
const APPLICATION = 'tidemark'

type Reader = InstanceType<Client['Reader']>

export interface ProduceAsk {
  readonly transactionalId: string | null
  /** How long the leader may wait for the replicas in sync. */
  readonly timeoutMs: number
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly batch: Buffer
}

/** What a broker says of a batch. */
export interface ProduceAnswer {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly baseOffset: number
}

/** The version of Produce to speak with the broker there: asks which it knows. */
export async function produceVersion(client: Client, connection: Connection): Promise<number> {
  const { apiKeys } = await client.apiVersionsV3.api.async(connection, APPLICATION, '1')
  const known = apiKeys.find(({ apiKey }) => apiKey === API_KEY)
  return known && known.maxVersion >= VERSION_BY_ID ? VERSION_BY_ID : VERSION_BY_NAME
}

/** The body of a Produce request: one batch, which is made here and not by the client. */
export function encodeProduce(
  client: Client,
  version: number,
  ask: ProduceAsk,
): ReturnType<Client['Writer']['create']> {
  const { transactionalId, timeoutMs, topic, topicId, partition, batch } = ask
  return client.Writer.create()
    .appendString(transactionalId)
    .appendInt16(ACKS_ALL)
    .appendInt32(timeoutMs)
    .appendArray([topic], (topics, name) =>
      (version >= VERSION_BY_ID
        ? topics.appendUUID(topicId)
        : topics.appendString(name)
      ).appendArray([partition], (partitions, index) =>
        partitions
          .appendInt32(index)
          .appendUnsignedVarInt(batch.length + 1)
          .append(batch),
      ),
    )
    .appendTaggedFields()
}

/** The answer, as far as it is about the one batch: the client does not get past fields with tags that have something. */
export function decodeProduced(
  _id: number,
  _api: number,
  version: number,
  reader: Reader,
): ProduceAnswer {
  one(reader)
  if (version >= VERSION_BY_ID) reader.readUUID()
  else reader.readString()
  one(reader)
  reader.readInt32()
  const errorCode = reader.readInt16()
  const baseOffset = Number(reader.readInt64())
  reader.readInt64()
  reader.readInt64()
  reader.readArray(() => {
    reader.readInt32()
    reader.readNullableString()
  })
  return { errorCode, baseOffset, errorMessage: reader.readNullableString() }
}

function one(reader: Reader): void {
  const count = reader.readUnsignedVarInt() - 1
  if (count === 1) return
  throw new TidemarkError('CORRUPT', `a broker has answered about ${count} batches instead of one`)
}
