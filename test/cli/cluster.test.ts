import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { TidemarkError } from 'tidemark'
import { Trio, until as untilSo } from '../quorum/members/trio.js'
import { makeCertificates, whyNoCertificates } from '../quorum/transport/certificates.js'
import { serveOperators } from './served-member.js'
import { jsonLines, parseLines, Tidemark, tidemark, until } from './tidemark.js'

/** Nobody listens there. */
const NOWHERE = '127.0.0.1:1'

describe('tidemark cluster', () => {
  let trio: Trio
  let secretFile: string
  const at = (id: number) => ['--at', trio.peers[id]!, '--secret-file', secretFile]
  const leaderOf = (id: number) =>
    trio
      .member(id)
      .status()
      .logs.find(({ name }) => name === 'orders')?.leader

  before(async () => {
    trio = await Trio.start({ secret: 'known' })
    secretFile = join(trio.dir, 'secret')
    writeFileSync(secretFile, 'known\n')
    const log = await trio.member(1).log('orders')
    for (let i = 0; i < 10; i++) await log.append(`order ${i}`)
    await untilSo(() => [1, 2, 3].every((id) => leaderOf(id) === leaderOf(1)), 'one leader')
  })
  after(() => trio.stop())

  it('shows the members and the logs', async () => {
    const other = (leaderOf(1)! % 3) + 1
    const { code, stdout, stderr } = await tidemark(['cluster', 'status', ...at(other)])
    assert.equal(code, 0, stderr)
    const lines = stdout.toString().split('\n')
    const address = trio.peers[other]!
    assert.equal(lines[0], `cluster tidemark, as member ${other} at ${address} sees it`)
    assert.match(lines[2]!, /^member {2}address +state +connected$/)
    assert.equal(lines.filter((line) => / member +yes$/.test(line)).length, 2)
    assert(lines.some((line) => line.endsWith('was asked') && line.includes(address)))
    assert.match(lines[7]!, /^log +leader +term +low +high +lag +here +damage$/)
    const orders = lines.find((line) => line.startsWith('orders '))!
    // The leader was asked as well: only it knows.
    assert.match(orders, /^orders +\d +\d+ +0 +\d\d +\d: \d+, \d: \d+ +follower$/)
    assert(lines.some((line) => line.startsWith('$catalog ')))
  })

  it('gives it to programs', async () => {
    const [view] = await jsonLines(['cluster', 'status', ...at(2)])
    const { id, cluster, members, logs } = view as {
      id: number
      cluster: string
      members: unknown[]
      logs: { name: string; followers: unknown[]; highWaterMark: number }[]
    }
    assert.deepEqual([id, cluster, members.length], [2, 'tidemark', 3])
    const orders = logs.find(({ name }) => name === 'orders')!
    assert.equal(orders.followers.length, 2)
    assert(orders.highWaterMark >= 10)
  })

  it('asks the first member that answers', async () => {
    const secret = ['--secret-file', secretFile]
    for (const places of [
      ['--at', `${NOWHERE},${trio.peers[3]}`],
      ['--at', NOWHERE, '--at', trio.peers[3]!],
    ]) {
      const [view] = await jsonLines(['cluster', 'status', ...places, ...secret])
      assert.equal(view!.id, 3)
    }
    const env = { ...process.env, TIDEMARK_CLUSTER: trio.peers[2]!, TIDEMARK_SECRET: 'known' }
    const running = new Tidemark(['cluster', 'status', '--json'], { env })
    assert.equal(parseLines((await running.result()).stdout)[0]!.id, 2)
  })

  it('has another member lead, whichever is asked', async () => {
    const before = leaderOf(1)!
    const next = (before % 3) + 1
    const words = ['cluster', 'transfer', 'orders', String(next)]
    const { code, stdout, stderr } = await tidemark([...words, ...at(next)])
    assert.equal(code, 0, stderr)
    assert.equal(stdout.toString(), `member ${next} leads orders\n`)
    assert.deepEqual(await jsonLines([...words, ...at(before)]), [{ log: 'orders', leader: next }])
    const none = await tidemark(['cluster', 'transfer', 'nothing', '1', ...at(1)])
    assert.deepEqual(
      [none.code, none.stderr],
      [1, 'tidemark: NOT_FOUND: there is no log "nothing"\n'],
    )
    const no = await tidemark(['cluster', 'transfer', 'orders', '9', ...at(1)])
    assert.match(
      no.stderr,
      /^tidemark: INVALID_ARGUMENT: member 9 has no vote in orders; members 1, 2, 3 have\n$/,
    )
  })

  it('watches until it is interrupted, and goes on where members go', async () => {
    const both = ['--at', `${trio.peers[3]},${trio.peers[1]}`, '--secret-file', secretFile]
    const running = new Tidemark(['cluster', 'status', '--watch', '--json', ...both])
    await running.printed(1)
    assert.equal(parseLines(running.stdout)[0]!.id, 3)
    await trio.stopMember(3)
    await until(() => parseLines(running.stdout).some(({ id }) => id === 1))
    await trio.startMember(3)
    running.kill('SIGINT')
    const { code, stderr } = await running.result()
    assert.deepEqual([code, stderr], [130, ''])
    const plain = new Tidemark(['cluster', 'status', '--watch', ...at(1)])
    await until(() => plain.lines().filter((line) => line.startsWith('cluster ')).length >= 2)
    assert(!plain.stdout.includes('\x1b'))
    plain.kill('SIGTERM')
    assert.equal((await plain.result()).code, 143)
  })

  it('says what is wrong', async () => {
    for (const [args, why] of [
      [['--at', NOWHERE], /^tidemark: UNAVAILABLE: nobody answers at 127.0.0.1:1: .*ECONNREFUSED/],
      [['--at', `${NOWHERE},127.0.0.1:2`], /UNAVAILABLE: no member answers: .*:1: .*; .*:2: /],
      [['--at', trio.peers[1]!], /INVALID_ARGUMENT: .*it has another secret: another secret\n$/],
      [[...at(1), '--cluster', 'other'], /INVALID_ARGUMENT: .*it belongs to another cluster: /],
      [['--at', 'nowhere'], /INVALID_ARGUMENT: the address of a member is not host:port/],
      [['--at', NOWHERE, '--secret-file', './none'], /^tidemark: IO: .*ENOENT/],
    ] as const) {
      const { code, stdout, stderr } = await tidemark(['cluster', 'status', ...args])
      assert.deepEqual([code, stdout.length], [1, 0], stderr)
      assert.match(stderr, why)
    }
    for (const [args, why] of [
      [['status'], /cluster needs --at <host:port>, or TIDEMARK_CLUSTER/],
      [['stauts', '--at', NOWHERE], /no action "stauts"; did you mean status\?/],
      [['status', '--wait', '--at', NOWHERE], /--wait is not for cluster status, which has --at/],
      [['add', '4', '--at', NOWHERE], /cluster add needs <id> <host:port>, and was given 1/],
      [['add', 'x', 'a:7', '--at', NOWHERE], /a member is a number from 1 to 4294967295, not "x"/],
      [['add', '4', 'a:0', '--at', NOWHERE], /where a member listens is <host:port>, not "a:0"/],
      [['remove', '0', '--at', NOWHERE], /a member is a number from 1/],
      [['status', '--at', NOWHERE, '--ca', 'x'], /--ca, --cert and --key belong together/],
      [['status', '--at', NOWHERE, '--secret-file', '/dev/null'], /--secret-file .* is empty/],
      [['status', '--at', NOWHERE, '--timeout', '0'], /--timeout must be a whole number from 1/],
    ] as const) {
      const { code, stderr } = await tidemark(['cluster', ...args])
      assert.equal(code, 2, stderr)
      assert.match(stderr, /^tidemark: USAGE: [^\n]+\n$/)
      assert.match(stderr, why)
    }
  })
})

describe('tidemark cluster under TLS', { skip: whyNoCertificates() }, () => {
  it('shows its certificate, and asks for one', async () => {
    const { ca, of } = makeCertificates({ member: 'DNS:one.example', operator: 'DNS:me.example' })
    const trio = await Trio.start({ tls: { ...of.get('member')!, ca } }, 1)
    const file = (name: string, text: string) => {
      const path = join(trio.dir, name)
      writeFileSync(path, text)
      return path
    }
    const { cert, key } = of.get('operator')!
    const tls = [
      '--ca',
      file('ca.pem', ca),
      '--cert',
      file('c.pem', cert),
      '--key',
      file('k.pem', key),
    ]
    const words = ['cluster', 'status', '--at', trio.peers[1]!]
    assert.equal((await jsonLines([...words, ...tls]))[0]!.id, 1)
    const plain = await tidemark([...words, '--timeout', '2'])
    assert.match(plain.stderr, /^tidemark: UNAVAILABLE: nobody answers at/)
    const notPem = await tidemark([...words, ...tls.with(5, join(trio.dir, 'c.pem'))])
    assert.match(notPem.stderr, /^tidemark: INVALID_ARGUMENT: the certificates and the key cannot/)
    await trio.stop()
  })
})

describe('tidemark cluster, of a member that changes', () => {
  it('adds and removes members, and waits for it', async () => {
    const told: unknown[] = []
    const members = new Map([[1, 'member']])
    let looks = 0
    const server: { address: string; close(): Promise<void> } = await serveOperators({
      status() {
        looks++
        if (looks % 3 === 0 && members.has(4)) {
          if (members.get(4) === 'joining') members.set(4, 'member')
          else if (members.get(4) === 'leaving') members.delete(4)
        }
        const { address } = server
        const list = [...members].map(([id, state]) => ({ id, address, state }))
        const none = { peers: [], logs: [], placements: [] }
        return { id: 1, cluster: 'tidemark', address, ...none, members: list }
      },
      async transfer() {},
      async addMember(id, address) {
        told.push(['add', id, address])
        if (members.has(id)) throw new TidemarkError('INVALID_ARGUMENT', `there is a member ${id}`)
        members.set(id, 'joining')
      },
      async removeMember(id) {
        told.push(['remove', id])
        members.set(id, 'leaving')
      },
      async deleteLog() {},
      async scrub() {},
    })
    const at = ['--at', server.address]
    const run = async (...words: string[]) => {
      const { code, stdout, stderr } = await tidemark(['cluster', ...words, ...at])
      return [code, `${stdout}${stderr}`]
    }
    looks = 0
    assert.deepEqual(await run('add', '4', 'm4:7'), [
      0,
      'member 4 is being added; cluster status shows how far it is\n',
    ])
    assert.deepEqual(await run('add', '4', 'm4:7'), [
      1,
      'tidemark: INVALID_ARGUMENT: there is a member 4\n',
    ])
    looks = 0
    assert.deepEqual(await run('remove', '4', '--wait', '--json'), [0, '{"id":4,"state":"gone"}\n'])
    assert(looks >= 3)
    looks = 0
    assert.deepEqual(await run('add', '4', 'm4:7', '--wait'), [0, 'member 4 is a member\n'])
    assert.deepEqual(told, [
      ['add', 4, 'm4:7'],
      ['add', 4, 'm4:7'],
      ['remove', 4],
      ['add', 4, 'm4:7'],
    ])
    // Nobody waits for ever, and whoever is interrupted leaves in order.
    members.delete(4)
    const removing = new Tidemark(['cluster', 'remove', '1', '--wait', ...at])
    await until(() => told.length === 5)
    removing.kill('SIGINT')
    const { code, stderr } = await removing.result()
    assert.deepEqual([code, stderr], [130, ''])
    await server.close()
  })

  it('tells what a scrub has found', async () => {
    const damaged: { log: string; from: number; to: number }[] = []
    const asked: unknown[] = []
    const server = await serveOperators({
      status: () => ({}),
      async transfer() {},
      async addMember() {},
      async removeMember() {},
      async deleteLog() {},
      async scrub(options) {
        asked.push(options)
        return { logs: 2, entries: 1234, bytes: 4096, damaged, durationMs: 1500 }
      },
    })
    const at = ['--at', server.address]
    const sound = await tidemark(['cluster', 'scrub', ...at])
    const text = 'logs           2\nsound entries  1,234\nread           4.0 KiB in 1.50 s\n'
    assert.equal(`${sound.stdout}${sound.stderr}`, `${text}damaged        nothing\n`)
    assert.equal(sound.code, 0)
    damaged.push({ log: 'orders', from: 1000, to: 1010 })
    const bad = await tidemark(['cluster', 'scrub', 'orders', ...at])
    const found = 'damaged        is got back from others:\n  orders: 1,000 to 1,009\n'
    assert.deepEqual([bad.code, `${bad.stdout}`], [1, `${text}${found}`])
    assert.deepEqual(asked, [{}, { log: 'orders' }])
    const strange = await tidemark(['cluster', 'status', ...at])
    assert.match(strange.stderr, /^tidemark: UNAVAILABLE: the member has answered something else/)
    await server.close()
  })
})
