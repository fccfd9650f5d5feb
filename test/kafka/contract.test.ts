import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe } from 'node:test'
import { KafkaLog } from 'tidemark/kafka'
import { type ContractLog, type ContractSkips, commitLogContract } from 'tidemark/testing'
import { ApacheKafka, kafkaUnavailable } from './apache-kafka.ts'

// The contract over real Apache Kafka. Each test has a topic of its own.

const MAX_MESSAGE_BYTES = 4 * 1024 * 1024
/** What a topic leaves to an entry. */
const MAX_ENTRY_BYTES = MAX_MESSAGE_BYTES - 128

const LONG_MAX = '9223372036854775807'

function kafkaContract(
  brokers: 1 | 3,
  options: object = {},
  skip: Omit<ContractSkips, 'reopen'> = {},
): void {
  const dir = mkdtempSync(join(tmpdir(), 'tidemark-kafka-contract-'))
  let cluster: ApacheKafka
  const addresses = new WeakMap<ContractLog, string>()
  before(async () => {
    cluster = await ApacheKafka.start({ brokers })
  })
  after(async () => {
    await cluster.stop()
    rmSync(dir, { recursive: true, force: true })
  })
  const open = async (topic: string) => {
    const configs = {
      'max.message.bytes': String(MAX_MESSAGE_BYTES),
      // Times of any year.
      'message.timestamp.before.max.ms': LONG_MAX,
      'message.timestamp.after.max.ms': LONG_MAX,
    }
    const create = { replicas: brokers, configs }
    const log = await KafkaLog.open({ brokers: cluster.brokers, topic, dir, create, ...options })
    addresses.set(log, topic)
    return log
  }
  commitLogContract({
    name: `${brokers} broker${brokers > 1 ? 's' : ''} ${JSON.stringify(options)}`,
    maxEntryBytes: MAX_ENTRY_BYTES,
    open: () => open(`contract-${randomUUID()}`),
    reopen: async (log) => {
      await log.close()
      return open(addresses.get(log)!)
    },
    skip: { count: 'a record of Kafka has one offset', ...skip },
  })
}

const skip = kafkaUnavailable() ?? false
describe('Apache Kafka', { skip }, () => {
  describe('one broker', () => kafkaContract(1))
  describe('three brokers', () => kafkaContract(3))
  describe('one broker, compressed', () => {
    const trim = 'compressed, all that a test appends comes at once, before it is trimmed'
    kafkaContract(1, { compression: 'gzip' }, { trim })
  })
})
