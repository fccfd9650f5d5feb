import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseLines, type StartOptions, Tidemark } from '../cli/tidemark.ts'
import { ApacheKafka, kafkaUnavailable, SASL_USER } from './apache-kafka.ts'

// The command line over real Apache Kafka. Each test has a topic of its own.

const LINES = 20_000

async function run(words: readonly string[], input = '', options: StartOptions = {}) {
  const running = new Tidemark(words, options)
  running.stdin.end(input)
  const { code, stdout, stderr } = await running.result()
  return { code, stdout: stdout.toString(), stderr }
}

async function done(words: readonly string[], input = '', options: StartOptions = {}) {
  const { code, stdout, stderr } = await run(words, input, options)
  assert.equal(code, 0, `${words.join(' ')}: ${stderr}`)
  return stdout
}

function numbers(from: number, to: number): string {
  let lines = ''
  for (let i = from; i < to; i++) lines += `${i}\n`
  return lines
}

/** Kafka's own default. */
const WEEK_MS = 604_800_000

describe('the command line on Kafka', { skip: kafkaUnavailable() ?? false }, () => {
  let cluster: ApacheKafka
  let topics = 0
  before(async () => {
    cluster = await ApacheKafka.start({ brokers: 1, sasl: true, tls: true })
  })
  after(() => cluster.stop())

  const addressOf = (topic: string, query = '') =>
    `kafka://${cluster.brokers[0]}/${topic}${query && `?${query}`}`
  const freshTopic = () => `cli-${++topics}`

  it('appends lines and prints them', async () => {
    const topic = freshTopic()
    const log = addressOf(topic)
    const lines = numbers(0, LINES)
    const missing = await run(['append', log], 'a\n')
    assert.equal(missing.code, 1)
    assert.match(missing.stderr, new RegExp(`^tidemark: NOT_FOUND: .*${topic}/0`, 'm'))
    const made = addressOf(topic, 'create=true&compression=gzip')
    const first = await run(['append', made, '--ack'], lines)
    assert.deepEqual([first.code, first.stdout], [0, lines])
    assert.match(first.stderr, /^appended 20,000 entries, .* offsets 0\.\.19999\n$/)
    assert.equal(await done(['cat', log]), lines)
    assert.equal(await done(['cat', log, '--from=19998']), '19998\n19999\n')
    assert.equal(await done(['cat', log, '--from=5', '--to=7', '--reverse']), '6\n5\n')
    assert.equal(
      await done(['append', made, '--ack', '--batch=2', '-q'], 'x\ny\nz'),
      numbers(20000, 20003),
    )
    assert.equal(await done(['append', log, '--whole', '-q'], 'one\ntwo'), '')
    const json = await done(['cat', log, '--from=20002', '--json'])
    const entries = parseLines(Buffer.from(json))
    assert.deepEqual(
      entries.map(({ offset, type, data }) => [offset, type, data]),
      [
        [20002, 1, 'z'],
        [20003, 1, 'one\ntwo'],
      ],
    )
    const since = String(entries[1]!.timestamp)
    assert.equal(await done(['cat', log, '--since', since]), 'one\ntwo\n')
  })

  it('reads and writes nothing of a topic that is not there', async () => {
    const log = addressOf(freshTopic(), 'create=true')
    for (const words of [['cat'], ['info'], ['trim', '--before=0'], ['kv', 'list']]) {
      const [name = '', ...rest] = words
      const { code, stdout, stderr } = await run([name, log, ...rest])
      assert.deepEqual([code, stdout], [1, ''], name)
      assert.match(
        stderr,
        /^tidemark: NOT_FOUND: [^\n]+UNKNOWN_TOPIC_OR_PARTITION: the topic [^\n]+\n$/,
      )
    }
    const { code, stderr } = await run(['cat', addressOf(await made(), '').concat('/3')])
    assert.equal(code, 1)
    assert.match(stderr, /^tidemark: NOT_FOUND: .*no partition 3; they are 0 to 1\n$/)
  })

  it('follows until Ctrl-C, and appends what was read before one', async () => {
    const topic = freshTopic()
    const log = addressOf(topic)
    await done(['append', addressOf(topic, 'create=true')], '0\n')
    const reader = new Tidemark(['cat', log, '--follow'])
    await reader.printed(1)
    const writer = new Tidemark(['append', log, '--ack'])
    for (let i = 1; i < 4; i++) {
      writer.stdin.write(`${i}\n`)
      await reader.printed(i + 1)
    }
    writer.stdin.write('half a line')
    writer.kill('SIGINT')
    const written = await writer.result()
    assert.deepEqual([written.code, written.stdout.toString()], [130, numbers(1, 4)])
    reader.kill('SIGINT')
    const read = await reader.result()
    assert.deepEqual([read.code, read.stdout.toString(), read.stderr], [130, numbers(0, 4), ''])
    assert.equal(await done(['cat', log]), numbers(0, 4))
  })

  it('appends nothing behind a line that is too long', async () => {
    const topic = freshTopic()
    await cluster.createTopic(topic, { config: { 'max.message.bytes': '2000' } })
    const log = addressOf(topic)
    const long = 'x'.repeat(1900)
    const one = await run(['append', log], `a\nb\n${long}\nc\n`)
    assert.equal(one.code, 1)
    assert.match(
      one.stderr,
      /^appended 2 entries.*\ntidemark: TOO_LARGE: line 3 has more than the 18/,
    )
    const batch = await run(['append', log, '--batch=100'], `${numbers(0, 100)}${long}\n`)
    assert.equal(batch.code, 1)
    assert.match(batch.stderr, /^appended nothing\ntidemark: TOO_LARGE: /)
    assert.equal(await done(['append', log, '--quiet'], numbers(0, 1000)), '')
    assert.equal(await done(['cat', log]), `a\nb\n${numbers(0, 1000)}`)
  })

  it('shows who keeps a topic, and trims it', async () => {
    const topic = await made()
    await done(['append', addressOf(`${topic}/1`)], numbers(0, 10))
    const log = addressOf(`${topic}/1`)
    const trimmed = await done(['trim', log, '--before=4'])
    assert.equal(trimmed, 'trimmed: marks 4 and 10\n')
    const json = await done(['trim', log, '--before=3', '--json'])
    assert.deepEqual(JSON.parse(json), { lowWaterMark: 4, highWaterMark: 10, freedBytes: null })
    assert.equal(await done(['cat', log]), numbers(4, 10))
    const gone = await run(['cat', log, '--from=2'])
    assert.equal(gone.code, 1)
    assert.match(gone.stderr, /^tidemark: TRIMMED: /)
    const beyond = await run(['trim', log, '--before=11'])
    assert.equal(beyond.code, 1)
    assert.match(beyond.stderr, /INVALID_ARGUMENT: cannot trim to 11/)
    const {
      cluster: id,
      topicId,
      leader,
      term,
      ...facts
    } = JSON.parse(await done(['info', log, '--json']))
    assert.deepEqual(facts, {
      ...{ topic, partition: 1, replicas: [1], inSync: [1], minInsyncReplicas: 1 },
      ...{ cleanupPolicy: 'delete', retentionMs: WEEK_MS, lowWaterMark: 4, highWaterMark: 10 },
    })
    assert.deepEqual([leader.id, `${leader.host}:${leader.port}`], [1, cluster.brokers[0]])
    const text = await done(['info', log])
    for (const value of [id, topicId, topic, String(term), '4', '10', '6', 'delete']) {
      assert(
        text.split('\n').some((row) => row.endsWith(` ${value}`)),
        `${value} in ${text}`,
      )
    }
    assert.match(
      text,
      /^promise +one broker alone may acknowledge, .* does not wait for the disks/m,
    )
  })

  it('has maps, which are there again after a restart of the broker', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'tidemark-kafka-cli-'))
    t.after(() => rmSync(dir, { recursive: true, force: true }))
    const topic = freshTopic()
    const map = addressOf(topic)
    await done(['kv', addressOf(topic, 'create=true'), 'set', 'color', 'dark blue'])
    const pairs = Array.from(
      { length: 2000 },
      (_, i) => `key-${String(i).padStart(4, '0')}\t${i}\n`,
    )
    assert.match(
      await done(['kv', map, 'set', '--ack'], pairs.join('')),
      /^key-0000\n.*\nkey-1999\n$/s,
    )
    assert.equal(await done(['kv', map, 'delete', 'key-0001']), 'deleted\n')
    await done(['kv', map, 'cas', 'color', 'dark blue', 'red'])
    const kept = `color\tred\n${pairs.toSpliced(1, 1).join('')}`
    const withDir = addressOf(topic, `dir=${encodeURIComponent(dir)}`)
    assert.match(await done(['kv', withDir, 'snapshot']), /^snapshot at offset \d+: 2,000 keys/)
    assert.match(readdirSync(dir).join(), new RegExp(`^${topic}-0\\.`))
    await cluster.restart(0)
    assert.equal(await done(['kv', map, 'list']), kept)
    assert.equal(await done(['kv', withDir, 'list']), kept)
    assert.equal(await done(['kv', withDir, 'get', 'color']), 'red\n')
    assert.equal((await run(['kv', map, 'get', 'key-0001'])).code, 1)
    const info = JSON.parse(await done(['kv', withDir, 'info', '--json']))
    assert.equal(info.log, `${topic}/0`)
    assert.deepEqual([info.keys, info.lowWaterMark], [2000, 0])
    assert.deepEqual(info.snapshots, [info.offset])
    const watcher = new Tidemark(['kv', map, 'watch'])
    // Nothing says when it has begun to watch.
    while (watcher.lines().length === 0) await done(['kv', map, 'set', 'new', 'one'])
    assert.equal(watcher.lines()[0], 'set new\tone')
    watcher.kill('SIGTERM')
    assert.equal((await watcher.result()).code, 143)
  })

  it('appends nothing behind what it does not know to be appended', async () => {
    const topic = freshTopic()
    await done(['append', addressOf(topic, 'create=true'), '-q'], '0\n')
    const writer = new Tidemark(['append', addressOf(topic, 'timeout=2s'), '--ack'])
    let next = 1
    const feed = setInterval(() => {
      if (!writer.isOver) writer.stdin.write(numbers(next, next + 200))
      next += 200
    }, 10)
    try {
      await writer.printed(2000)
      await cluster.kill(0)
      const { code, stdout, stderr } = await writer.result()
      assert.equal(code, 1)
      assert.match(
        stderr,
        /\ntidemark: (UNAVAILABLE|UNCERTAIN): [^\n]+ \(line \d+ of the input\)\n$/,
      )
      const acknowledged = stdout.toString().trimEnd().split('\n').length
      assert.equal(stdout.toString(), numbers(1, acknowledged + 1))
      await cluster.restart(0)
      const kept = (await done(['cat', addressOf(topic)])).trimEnd().split('\n').length
      assert(kept > acknowledged, `${kept} of ${acknowledged + 1}`)
      assert.equal(await done(['cat', addressOf(topic)]), numbers(0, kept))
    } finally {
      clearInterval(feed)
    }
  })

  it('has the password of a user in the environment', async () => {
    const { username, password } = SASL_USER
    const topic = freshTopic()
    const env = (TIDEMARK_KAFKA_PASSWORD: string) => {
      return { env: { ...process.env, TIDEMARK_KAFKA_PASSWORD } }
    }
    for (const sasl of ['plain', 'scram-sha-256', 'scram-sha-512']) {
      const log = `kafka://${username}@${cluster.saslBrokers[0]}/${topic}?create=true&sasl=${sasl}`
      await done(['append', log], `${sasl}\n`, env(password))
      const wrong = await run(['cat', log], '', env('hunter2'))
      assert.deepEqual([wrong.code, wrong.stdout], [1, ''])
      assert.match(wrong.stderr, /^tidemark: DENIED: [^\n]+\n$/)
      assert.doesNotMatch(wrong.stderr, /hunter2/)
    }
    const log = `kafka://${username}@${cluster.saslBrokers[0]}/${topic}`
    assert.equal(
      await done(['cat', log], '', env(password)),
      'plain\nscram-sha-256\nscram-sha-512\n',
    )
    const none = await run(['cat', log], '', env(''))
    assert.equal(none.code, 2)
    assert.match(none.stderr, /USAGE: the user "writer" needs a password/)
  })

  it('speaks TLS', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'tidemark-kafka-cli-'))
    t.after(() => rmSync(dir, { recursive: true, force: true }))
    const ca = join(dir, 'ca.pem')
    writeFileSync(ca, cluster.ca!)
    const log = `kafka://${cluster.tlsBrokers[0]}/${freshTopic()}`
    await done(['append', `${log}?create=true&ca=${encodeURIComponent(ca)}`], 'a\n')
    assert.equal(await done(['cat', `${log}?tls=true&ca=${ca}`]), 'a\n')
    const stranger = await run(['cat', `${log}?tls=true`])
    assert.equal(stranger.code, 1)
    assert.match(stranger.stderr, /^tidemark: DENIED: [^\n]*certificate[^\n]*\n$/)
    const none = await run(['cat', `${log}?ca=${dir}/none.pem`])
    assert.equal(none.code, 1)
    assert.match(none.stderr, /^tidemark: IO: ENOENT: .*none\.pem/)
  })

  /** A topic of two partitions. */
  async function made(): Promise<string> {
    const topic = freshTopic()
    await cluster.createTopic(topic, { partitions: 2 })
    return topic
  }
})
