import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { isKafkaAddress, KAFKA_QUERY, kafkaLogOptions } from '#dist/cli/kafka-address.js'
import { type StartOptions, Tidemark } from './tidemark.ts'

/** The options of an address that are not left to their defaults. */
function read(address: string, password?: string): Record<string, unknown> {
  const options = kafkaLogOptions(`kafka://${address}`, password)
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

function refused(address: string, why: RegExp, password = ''): void {
  assert.throws(() => read(address, password), { name: 'UsageError', message: why })
}

const ORDERS = { brokers: ['a:1'], topic: 'orders', partition: 0 }

describe('the address of a log on Kafka', () => {
  it('has brokers, a topic and a partition', () => {
    assert.deepEqual(read('a:1/orders'), ORDERS)
    assert.deepEqual(read('a:1/orders?'), ORDERS)
    assert.deepEqual(read('a:1/orders/7'), { ...ORDERS, partition: 7 })
    assert.deepEqual(read('a.example:9092,10.0.0.1:9093,[fe80::1%eth0]:1,[::1]:9094/or.der_s-1'), {
      brokers: ['a.example:9092', '10.0.0.1:9093', '[fe80::1%eth0]:1', '[::1]:9094'],
      topic: 'or.der_s-1',
      partition: 0,
    })
  })

  it('begins with kafka:// and nothing else', () => {
    assert(isKafkaAddress('kafka://'))
    for (const path of ['./kafka://x', 'kafka:/x', 'KAFKA://x', 'kafka', '/kafka://x', '']) {
      assert(!isKafkaAddress(path), path)
    }
  })

  it('has options', () => {
    const query =
      'isolation=read_uncommitted&compression=zstd&timeout=10s&dir=a%20b%26c%3d&create=true&partitions=12&replicas=3'
    assert.deepEqual(read(`a:1/orders?${query}`), {
      ...ORDERS,
      isolation: 'read_uncommitted',
      compression: 'zstd',
      timeoutMs: 10_000,
      dir: 'a b&c=',
      create: { partitions: 12, replicas: 3 },
    })
    assert.deepEqual(read('a:1/orders?create=false&tls=false'), ORDERS)
    assert.equal(read('a:1/orders?timeout=1ms').timeoutMs, 1)
    assert.equal(read('a:1/orders?timeout=60m').timeoutMs, 3_600_000)
    assert.equal(read('a:1/orders?dir=x=y').dir, 'x=y')
  })

  it('has a user, whose password is elsewhere', () => {
    const { sasl } = read('eve@a:1/orders', 'secret')
    assert.deepEqual(sasl, { mechanism: 'PLAIN', username: 'eve', password: 'secret' })
    const scram = read('a%40b%3Ac@a:1/orders?sasl=scram-sha-512', 'secret').sasl
    assert.deepEqual(scram, { mechanism: 'SCRAM-SHA-512', username: 'a@b:c', password: 'secret' })
    // It may be there for another address.
    assert.equal(read('a:1/orders', 'secret').sasl, undefined)
    refused('eve@a:1/orders', /"eve" needs a password: put it into TIDEMARK_KAFKA_PASSWORD/)
    refused('@a:1/orders', /empty user/, 'secret')
    refused('a:1/orders?sasl=plain', /sasl=plain needs a user/, 'secret')
  })

  it('never has a password in it, nor shows one', () => {
    for (const address of [
      'eve:hunter2@a:1/orders',
      'eve:hun/ter2@a:1/orders',
      'eve:hunter2@a:1',
      'eve:hunter2@@a:1/orders?x=y@z',
      'eve@a:1/orders?password=hunter2',
    ]) {
      const told = /seen by others, .*: put it into TIDEMARK_KAFKA_PASSWORD$|needs a topic|"x" is/
      assert.throws(
        () => read(address, 'secret'),
        ({ name, message }: Error) =>
          name === 'UsageError' && told.test(message) && !/hun|ter2/.test(message),
        address,
      )
    }
  })

  it('names files, which are read', (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'tidemark-address-'))
    t.after(() => rmSync(dir, { recursive: true, force: true }))
    const files = ['ca', 'cert', 'key'].map((name) => {
      writeFileSync(join(dir, name), `the ${name}`)
      return `${name}=${encodeURIComponent(join(dir, name))}`
    })
    const [ca, cert, key] = ['ca', 'cert', 'key'].map((name) => Buffer.from(`the ${name}`))
    assert.deepEqual(read(`a:1/orders?${files.join('&')}`).tls, { ca, cert, key })
    assert.deepEqual(read(`a:1/orders?tls=true&${files[0]}`).tls, { ca })
    assert.equal(read('a:1/orders?tls=true').tls, true)
    refused(`a:1/orders?tls=false&${files[0]}`, /tls=false and ca exclude each other/)
    refused(`a:1/orders?${files[1]}`, /cert and key go together/)
    assert.throws(() => read(`a:1/orders?ca=${join(dir, 'none')}`), { code: 'ENOENT' })
  })

  it('is refused with what is wrong', () => {
    refused('', /names no topic: it is kafka:\/\/\[user@\]host:port/)
    refused('a:1', /names no topic/)
    refused('a:1/', /names no topic/)
    refused('/orders', /names no broker/)
    for (const broker of ['a', 'a:', ':1', 'a:0', 'a:65536', '::1:5', 'a b:1', '[::1]']) {
      refused(`${broker}/orders`, /a broker is host:port or \[IPv6\]:port, not "/)
    }
    refused('a:1,/orders', /not ""/)
    for (const partition of ['', 'x', '-1', '1/2', '0x1']) {
      refused(`a:1/orders/${partition}`, /comes the partition, not "/)
    }
    refused('a:1/orders?tsl=true', /"tsl" is unknown in an address, which can have tls, ca, cert/)
    refused('a:1/orders?constructor=1', /"constructor" is unknown/)
    refused('a:1/orders?=1', /"" is unknown/)
    refused('a:1/orders?tls=true&tls=true', /tls is given twice/)
    for (const name of Object.keys(KAFKA_QUERY)) {
      for (const end of ['', '=']) refused(`a:1/orders?${name}${end}`, /needs a value: \w+=\.\.\./)
    }
    refused('a:1/orders?tls=yes', /tls in the address must be one of true, false, not "yes"/)
    refused('e@a:1/orders?sasl=PLAIN', /must be one of plain, scram-sha-256, scram-sha-512/, 'x')
    refused('a:1/orders?isolation=none', /must be one of read_committed, read_uncommitted/)
    refused('a:1/orders?compression=bzip2', /must be one of none, gzip, snappy, lz4, zstd/)
    for (const time of ['10', '0s', '61m', '1.5s', '-1s', 'x']) {
      refused(`a:1/orders?timeout=${time}`, /timeout in the address must be such as 500ms, 10s/)
    }
    for (const count of ['0', '1000001', '1e3', '-1']) {
      refused(`a:1/orders?create=true&partitions=${count}`, /from 1 to 1000000, not "/)
    }
    refused('a:1/orders?create=true&replicas=32768', /from 1 to 32767/)
    refused('a:1/orders?replicas=3', /replicas .* give create=true too/)
    refused('a:1/orders?create=false&partitions=3', /partitions .* give create=true too/)
    refused('a:1/orders?dir=100%', /dir in the address has a %/)
  })
})

describe('an address where a folder belongs', () => {
  const ADDRESS = 'kafka://127.0.0.1:1/orders'
  const WORDS = [
    ['verify', ADDRESS],
    ['repair', ADDRESS],
    ['repair', '--', ADDRESS],
    ['cursors', ADDRESS],
    ['dump', ADDRESS],
    ['backup', ADDRESS, './copy'],
    ['backup', './log', ADDRESS],
    ['delete', ADDRESS, '--yes'],
    ['bench', ADDRESS],
    ['demo', ADDRESS],
    ['cluster', 'export', 'orders', ADDRESS],
    ['cluster', 'import', ADDRESS, 'orders'],
    ['cluster', 'unsafe-recover', ADDRESS, '--yes'],
  ]

  it('is refused, and nothing is made on the disk', async (t) => {
    const cwd = mkdtempSync(join(tmpdir(), 'tidemark-address-'))
    t.after(() => rmSync(cwd, { recursive: true, force: true }))
    for (const words of WORDS) {
      const { code, stdout, stderr } = await ended(words, { cwd })
      assert.equal(code, 2, words.join(' '))
      assert.equal(stdout.length, 0)
      assert.match(stderr, /^tidemark: USAGE: [a-z -]+ works on folders only, [^\n]+ on Kafka\n$/)
    }
    assert.deepEqual(readdirSync(cwd), [])
  })

  it('is a path with ./ in front of it', async (t) => {
    const cwd = mkdtempSync(join(tmpdir(), 'tidemark-address-'))
    t.after(() => rmSync(cwd, { recursive: true, force: true }))
    assert.equal((await ended(['append', './kafka:/x'], { cwd }, 'a\n')).code, 0)
    assert(existsSync(join(cwd, 'kafka:', 'x')))
    assert.equal((await ended(['verify', './kafka://x'], { cwd })).code, 0)
  })
})

describe('a log on Kafka', () => {
  const NOBODY = 'kafka://127.0.0.1:1/orders'

  it('is refused with what is of folders', async () => {
    for (const words of [
      ['append', NOBODY, '--sync', 'never'],
      ['append', NOBODY, '--segment-bytes', '1000000'],
      ['kv', NOBODY, 'set', 'a', '1', '--sync=5'],
    ]) {
      const { code, stderr } = await ended(words, {})
      assert.equal(code, 2)
      assert.match(stderr, /^tidemark: USAGE: --[a-z-]+ is for logs in folders; on Kafka/)
    }
    const file = await ended(['append', './x', NOBODY], {})
    assert.equal(file.code, 2)
    assert.match(file.stderr, /<file> of append cannot be a log on Kafka/)
    assert.match((await ended(['kv', NOBODY, 'snapshot'], {})).stderr, /USAGE: .* give dir=/)
    const password = await ended(['cat', 'kafka://eve:hunter2@127.0.0.1:1/orders'], {})
    assert.equal(password.code, 2)
    assert.match(password.stderr, /TIDEMARK_KAFKA_PASSWORD\n$/)
    assert.doesNotMatch(password.stderr, /hunter2/)
  })

  it('is given up when nobody answers in time, and on Ctrl-C', async () => {
    const at = performance.now()
    const commands = [['append'], ['cat'], ['info'], ['trim', '--before=1'], ['kv', 'get', 'a']]
    const results = commands.map(([name = '', ...rest]) =>
      ended([name, `${NOBODY}?timeout=300ms`, ...rest], {}, 'a\n'),
    )
    for (const { code, stdout, stderr } of await Promise.all(results)) {
      assert.equal(code, 1)
      assert.equal(stdout.length, 0)
      assert.match(
        stderr,
        /^tidemark: UNAVAILABLE: cannot find orders\/0: 127\.0\.0\.1:1 [^\n]+\n$/,
      )
    }
    assert(performance.now() - at < 25_000)
    const patient = new Tidemark(['info', NOBODY])
    await delay(1000)
    assert(!patient.isOver)
    patient.kill('SIGINT')
    const { code, stderr } = await patient.result()
    assert.deepEqual([code, stderr], [130, ''])
  })

  it('is in the help of those that take one', async () => {
    for (const name of ['append', 'cat', 'info', 'trim', 'kv', 'verify']) {
      const help = (await ended([name, '--help'], {})).stdout.toString()
      const isIn = name !== 'verify'
      assert.equal(/^ {2}tidemark .*kafka:\/\/kafka1:9092|writer@kafka1/m.test(help), isIn, name)
      for (const option of Object.keys(KAFKA_QUERY)) {
        assert.equal(new RegExp(`^  ${option} `, 'm').test(help), isIn, option)
      }
    }
  })
})

function ended(words: readonly string[], options: StartOptions, input = '') {
  const running = new Tidemark(words, options)
  running.stdin.end(input)
  return running.result()
}
