import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Entry } from 'tidemark'
import { KafkaLog, type KafkaLogOptions } from 'tidemark/kafka'
import { freePorts } from '../quorum/members/trio.ts'
import { ApacheKafka, kafkaUnavailable, SASL_USER } from './apache-kafka.ts'
import { distribution } from './distribution.ts'
import { makeKeys } from './keys.ts'
import { alterTopic, deleteTopic, fakeBroker, nothingIsOpen, refused } from './refused.ts'
import { withAdmin } from './topics.ts'

const skip = kafkaUnavailable() ?? false
const TIMEOUT_MS = 1_500

type Log = KafkaLog<Buffer, Uint8Array | string>

/** Closed when the test ends. */
async function opened(t: TestContext, options: KafkaLogOptions): Promise<Log> {
  const log = await KafkaLog.open(options)
  t.after(() => log.close())
  return log
}

async function textsOf(log: Log): Promise<string[]> {
  await log.barrier()
  const texts: string[] = []
  for await (const { data } of log.read()) texts.push(data.toString())
  return texts
}

/** Opens at such brokers, and finds that it cannot. */
function cannotOpen(
  options: Omit<KafkaLogOptions, 'topic'>,
  expected: Pick<Parameters<typeof refused>[1], 'code' | 'text'>,
) {
  const open = KafkaLog.open({ topic: 'secret', timeoutMs: TIMEOUT_MS, ...options })
  return refused(open, { withinMs: TIMEOUT_MS, ...expected })
}

describe('who is let in', { skip }, () => {
  let cluster: ApacheKafka
  before(async () => {
    const config = {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      // The brokers themselves, and what tests ask without a name.
      'super.users': 'User:ANONYMOUS',
    }
    cluster = await ApacheKafka.start({ brokers: 1, sasl: true, tls: true, config })
    await cluster.createTopic('secret')
  })
  after(() => cluster.stop())

  it('a wrong password, and a mechanism that there is not, are DENIED', async () => {
    const brokers = cluster.saslBrokers
    for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
      const sasl = { mechanism, ...SASL_USER, password: 'wrong' }
      await cannotOpen({ brokers, sasl }, { code: 'DENIED', text: /authentication/i })
    }
    const sasl = { mechanism: 'OAUTHBEARER', token: 'none' } as const
    await cannotOpen({ brokers, sasl }, { code: 'DENIED', text: /mechanism/i })
    await nothingIsOpen()
  })

  it('SASL to a listener without it, and none to one with it, end in time', async () => {
    const sasl = { mechanism: 'PLAIN', ...SASL_USER } as const
    const code = ['DENIED', 'UNAVAILABLE'] as const
    await cannotOpen({ brokers: cluster.brokers, sasl }, { code })
    await cannotOpen({ brokers: cluster.saslBrokers }, { code })
    await nothingIsOpen()
  })

  it('a user without rights is DENIED, at each of what it has no right to', async (t) => {
    const { username } = SASL_USER
    const sasl = { mechanism: 'PLAIN', ...SASL_USER } as const
    const brokers = cluster.saslBrokers
    await cannotOpen({ brokers, sasl }, { code: 'DENIED', text: /TOPIC_AUTHORIZATION_FAILED/ })
    await allow(cluster, username, [OPERATION.describe, OPERATION.read])
    const log = await opened(t, { brokers, topic: 'secret', sasl, timeoutMs: TIMEOUT_MS })
    const inTime = { code: 'DENIED', withinMs: TIMEOUT_MS } as const
    await refused(log.append('not mine'), inTime)
    await refused(log.appendBatch(['not', 'mine']), inTime)
    await refused(log.cursor('not-mine'), inTime)
    const writer = await opened(t, { brokers: cluster.brokers, topic: 'secret' })
    await writer.append('theirs')
    await refused(
      log.barrier().then(() => log.trim(1)),
      inTime,
    )
    assert.deepEqual(await textsOf(log), ['theirs'])
  })

  it('TLS where there is none, and none where there is TLS', async () => {
    const code = ['DENIED', 'UNAVAILABLE'] as const
    await cannotOpen({ brokers: cluster.brokers, tls: { ca: cluster.ca! } }, { code })
    await cannotOpen({ brokers: cluster.tlsBrokers }, { code })
    await nothingIsOpen()
  })

  it('a certificate that nobody here has signed is DENIED', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-kafka-keys-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const other = await makeKeys(distribution().keytool, folder)
    const brokers = cluster.tlsBrokers
    await cannotOpen({ brokers, tls: { ca: other.certificate } }, { code: 'DENIED' })
    await cannotOpen({ brokers, tls: true }, { code: 'DENIED', text: /certificate/ })
    await nothingIsOpen()
  })
})

const OPERATION = { read: 3, describe: 8 } as const

async function allow(
  cluster: ApacheKafka,
  user: string,
  operations: readonly (3 | 8)[],
): Promise<void> {
  const creations = operations.map((operation) => ({
    resourceType: 2 as const,
    resourceName: 'secret',
    resourcePatternType: 3 as const,
    principal: `User:${user}`,
    host: '*',
    operation,
    permissionType: 3 as const,
  }))
  await withAdmin(cluster.brokers[0]!, (admin) => admin.createAcls({ creations }))
  // A broker learns of it from the controller.
  await delay(200)
}

describe('what is no broker', { skip }, () => {
  const unavailable = { code: 'UNAVAILABLE' } as const

  it('an address that nobody answers at is UNAVAILABLE in time', async () => {
    const [port] = await freePorts(1)
    await cannotOpen({ brokers: `127.0.0.1:${port}` }, { ...unavailable, text: /ECONNREFUSED/ })
    await cannotOpen({ brokers: 'no-such-host.invalid:9092' }, unavailable)
    await nothingIsOpen()
  })

  it('one that takes connections and says nothing', async (t) => {
    const { address, stop } = await fakeBroker(t, (socket) => socket.resume())
    await cannotOpen({ brokers: address }, unavailable)
    const sasl = { mechanism: 'PLAIN', ...SASL_USER } as const
    await cannotOpen({ brokers: address, sasl }, unavailable)
    await cannotOpen({ brokers: address, tls: true }, unavailable)
    await stop()
    await nothingIsOpen()
  })

  it('one that answers, but not like a broker', async (t) => {
    const answers: Record<string, (asked: Buffer) => Buffer> = {
      text: () => Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'),
      'negative length': () => Buffer.alloc(64, 0xff),
      'another number': () => framed(Buffer.alloc(40, 7)),
      nothing: (asked) => framed(asked.subarray(8, 12)),
      'large counts': (asked) =>
        framed(Buffer.concat([asked.subarray(8, 12), Buffer.alloc(60, 0xff)])),
      'counts that end': (asked) =>
        framed(Buffer.concat([asked.subarray(8, 12), Buffer.alloc(60, 0x7f)])),
    }
    for (const [name, answer] of Object.entries(answers)) {
      const { address, stop } = await fakeBroker(t, (socket) => {
        socket.on('data', (asked) => socket.write(answer(asked)))
      })
      const error = await cannotOpen({ brokers: address }, unavailable)
      t.diagnostic(`${name}: ${error.message}`)
      await stop()
    }
    await nothingIsOpen()
  })

  it('without its package, tells how to install it', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-kafka-none-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const root = fileURLToPath(new URL('../../../', import.meta.url))
    cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true })
    cpSync(join(root, 'package.json'), join(folder, 'package.json'))
    writeFileSync(
      join(folder, 'open.js'),
      `import { KafkaLog } from 'tidemark/kafka'
      await KafkaLog.open({ brokers: 'localhost:1', topic: 'any' }).catch(({ code, message }) =>
        console.log(code + ' ' + message))`,
    )
    const { stdout } = spawnSync(process.execPath, ['open.js'], { cwd: folder, encoding: 'utf8' })
    assert.match(stdout, /^NOT_FOUND .*npm install @platformatic\/kafka@[12]\n$/)
  })
})

function framed(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

describe('topics', { skip }, () => {
  let cluster: ApacheKafka
  before(async () => {
    cluster = await ApacheKafka.start({ brokers: 1 })
  })
  after(() => cluster.stop())
  const here = (topic: string) => ({ brokers: cluster.brokers, topic, timeoutMs: TIMEOUT_MS })
  const notFound = { code: 'NOT_FOUND', withinMs: TIMEOUT_MS } as const

  it('a topic, or a partition, that there is not is NOT_FOUND', async () => {
    await refused(KafkaLog.open(here('nowhere')), { ...notFound, text: /nowhere/ })
    await cluster.createTopic('somewhere', { partitions: 2 })
    const third = KafkaLog.open({ ...here('somewhere'), partition: 2 })
    await refused(third, { ...notFound, text: /no partition 2; they are 0 to 1/ })
    await nothingIsOpen()
  })

  it('one that is deleted is NOT_FOUND for all who have it open', async (t) => {
    await cluster.createTopic('deleted')
    const log = await opened(t, here('deleted'))
    await log.append('first')
    const following = refused(followed(log), { ...notFound, text: /deleted/, withinMs: 5_000 })
    await delay(100)
    await deleteTopic(cluster.brokers, 'deleted')
    await following
    await refused(log.append('second'), notFound)
    await refused(log.barrier(), notFound)
    await refused(log.status(), notFound)
  })

  it('one that is made again is NOT_FOUND, and says so', async (t) => {
    const again = { ...notFound, text: /deleted, and made again/ }
    await cluster.createTopic('again')
    const log = await opened(t, here('again'))
    const appendsOnly = await opened(t, here('again'))
    await appendsOnly.append('first')
    const following = refused(followed(log), { ...again, withinMs: 5_000 })
    await delay(100)
    await deleteTopic(cluster.brokers, 'again')
    await cluster.createTopic('again')
    const other = await opened(t, here('again'))
    const others = ['of another topic', 'of the same name', 'and longer']
    for (const text of others) await other.append(text)
    await refused(appendsOnly.append('second'), again)
    await refused(appendsOnly.append('third'), again)
    await following
    await refused(log.append('fourth'), again)
    await refused(log.barrier(), again)
    await refused(appendsOnly.trim(1), again)
    assert.deepEqual(await textsOf(other), others)
  })

  it('what is over max.message.bytes is TOO_LARGE, and harms nothing else', async (t) => {
    const config = { 'max.message.bytes': '10000' }
    await cluster.createTopic('narrow', { config })
    const log = await opened(t, here('narrow'))
    const tooLarge = { code: 'TOO_LARGE', withinMs: 0 } as const
    await refused(log.append('x'.repeat(log.maxEntryBytes + 1)), tooLarge)
    await refused(log.appendBatch(Array(3).fill('x'.repeat(4_000))), tooLarge)
    await log.append('x'.repeat(log.maxEntryBytes))
    await alterTopic(cluster.brokers, 'narrow', 'max.message.bytes', '5000')
    await delay(300)
    const names = Array.from({ length: 10 }, (_, i) => `small ${i}`)
    const [large, batch, ...small] = await Promise.allSettled([
      log.append('y'.repeat(6_000)),
      log.appendBatch(Array(2).fill('z'.repeat(3_000))),
      ...names.map((name) => log.append(name)),
    ])
    for (const one of [large!, batch!]) {
      assert.equal(one.status === 'rejected' && one.reason.code, 'TOO_LARGE')
    }
    assert.ok(small.every(({ status }) => status === 'fulfilled'))
    assert.deepEqual((await textsOf(log)).slice(1), names)
  })
})

async function followed(log: Log): Promise<Entry<Buffer>[]> {
  const entries: Entry<Buffer>[] = []
  for await (const entry of log.read({ follow: true })) entries.push(entry)
  return entries
}

describe('replicas', { skip }, () => {
  let cluster: ApacheKafka
  before(async () => {
    cluster = await ApacheKafka.start({ brokers: 3 })
  })
  after(() => cluster.stop())
  const here = (topic: string, timeoutMs = TIMEOUT_MS) => ({
    brokers: cluster.brokers,
    topic,
    timeoutMs,
  })

  it('a partition that nobody leads is UNAVAILABLE, until somebody does', async (t) => {
    await cluster.createTopic('alone', { replicas: 1 })
    const log = await opened(t, here('alone'))
    const patient = await opened(t, here('alone', 60_000))
    await log.append('before')
    const leader = (await cluster.leaderOf('alone', 0))!
    const following = patient.read({ from: 1, follow: true }).next()
    await cluster.kill(leader)
    await delay(50)
    const waiting = patient.append('from before it was back')
    const unavailable = { code: 'UNAVAILABLE', withinMs: TIMEOUT_MS } as const
    for (let i = 0; i < 2; i++) {
      const asked = [log.append('never'), log.barrier(), KafkaLog.open(here('alone'))]
      await Promise.all(asked.map((each) => refused(each, unavailable)))
      // By then the controller knows that it is gone.
      await delay(2_000)
    }
    await cluster.restart(leader)
    await waiting
    await log.append('after')
    assert.deepEqual(await textsOf(log), ['before', 'from before it was back', 'after'])
    assert.equal((await following).value?.data.toString(), 'from before it was back')
  })

  it('too few replicas in sync: nothing is taken, and nothing is there twice', async (t) => {
    await cluster.createTopic('all', { config: { 'min.insync.replicas': '3' } })
    const log = await opened(t, here('all'))
    const patient = await opened(t, here('all', 60_000))
    await log.append('before')
    await patient.append('before too')
    const leader = (await cluster.leaderOf('all', 0))!
    const other = (leader + 1) % 3
    await cluster.kill(other)
    const waiting = patient.append('waited')
    const refusals: string[] = []
    for (const end = performance.now() + 8_000; performance.now() < end; ) {
      const code = ['UNAVAILABLE', 'UNCERTAIN'] as const
      const name = `refused ${refusals.length}`
      const error = await refused(log.append(name), { code, withinMs: TIMEOUT_MS })
      refusals.push(error.code)
    }
    t.diagnostic(refusals.join(', '))
    assert.equal(refusals.at(-1), 'UNAVAILABLE')
    await cluster.restart(other)
    await waiting
    await patient.append('after')
    const texts = await textsOf(log)
    assert.equal(new Set(texts).size, texts.length)
    for (const [i, code] of refusals.entries()) {
      if (code === 'UNAVAILABLE') assert.ok(!texts.includes(`refused ${i}`))
    }
    const mine = texts.filter((text) => !text.startsWith('refused'))
    assert.deepEqual(mine, ['before', 'before too', 'waited', 'after'])
  })
})
