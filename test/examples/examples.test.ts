import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Log, text } from 'tidemark'
import { linksOf, pageAt, ROOT } from '../docs/pages.ts'
import { Program } from './program.ts'

const run = promisify(execFile)
const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url))

/** The examples that have a test below. */
const TESTED = new Set<string>()

/** Reads the text format as Prometheus does, and checks it: each sample belongs to a metric with a type. */
function checkExposition(text: string): void {
  const types = new Map<string, string>()
  const samples = new Map<string, number>()
  for (const line of text.trimEnd().split('\n')) {
    const [, name, type] = /^# TYPE (\w+) (counter|gauge|histogram)$/.exec(line) ?? []
    if (name) types.set(name, type!)
    if (line.startsWith('#')) continue
    const [, sample, labels = '', value] = /^(\w+)(\{\w+="[^"\\]*"\})? (\S+)$/.exec(line) ?? []
    assert.ok(sample, `not a sample: ${line}`)
    const family = types.has(sample) ? sample : sample.replace(/_(bucket|sum|count)$/, '')
    assert.ok(types.has(family), `${sample} has no type`)
    assert.ok(Number.isFinite(Number(value)), line)
    assert.ok(!samples.has(sample + labels), `${sample}${labels} twice`)
    samples.set(sample + labels, Number(value))
  }
  for (const [name, type] of types) if (type === 'counter') assert.match(name, /_total$/)
  const wanted = {
    tidemark_appends_total: 1,
    tidemark_entries_total: 3,
    tidemark_bytes_total: 3 * 40 + 'placedpaidsent'.length,
    tidemark_high_water_mark: 3,
    tidemark_segments: 1,
    tidemark_damage_total: 0,
    'tidemark_cursor_lag{cursor="billing"}': 2,
    'tidemark_group_appends_bucket{le="1"}': 1,
    'tidemark_group_appends_bucket{le="+Inf"}': 1,
    'tidemark_sync_seconds_bucket{le="+Inf"}': 1,
    tidemark_sync_seconds_count: 1,
  }
  for (const [name, value] of Object.entries(wanted)) assert.equal(samples.get(name), value, name)
  const buckets = [...samples].filter(([name]) => name.startsWith('tidemark_sync_seconds_bucket'))
  assert.equal(buckets.length, 14)
  for (let i = 1; i < buckets.length; i++) assert.ok(buckets[i]![1] >= buckets[i - 1]![1])
}

describe('the examples', () => {
  let parent: string

  before(async () => {
    parent = await mkdtemp(join(tmpdir(), 'tidemark-examples-'))
  })

  after(() => rmSync(parent, { recursive: true, force: true }))

  /** Runs an example in a process of its own and returns what it printed, line by line. */
  async function runExample(name: string, folder: string): Promise<string[]> {
    const { stdout, stderr } = await run(process.execPath, [join(EXAMPLES, name), folder])
    assert.equal(stderr, '')
    return stdout.trimEnd().split('\n')
  }

  function example(name: string, check: (folder: string) => Promise<void>): void {
    TESTED.add(name)
    it(name, () => check(join(parent, name.replaceAll('/', '-'))))
  }

  example('first-ten-lines.js', async (folder) => {
    assert.deepEqual(await runExample('first-ten-lines.js', folder), [
      'entry 0 is on the disk',
      'entries 1 to 2 are on the disk, all of them or none',
      '0: good morning',
      '1: good day',
      '2: good evening',
      'entry 2 says "good evening"',
      'the log holds the offsets from 2 to below 3',
    ])
    const [first] = await runExample('first-ten-lines.js', folder)
    assert.equal(first, 'entry 3 is on the disk')
  })

  example('same-program.js', async (folder) => {
    assert.deepEqual(await runExample('same-program.js', folder), [
      'a new ledger',
      'bank gives ada 10',
      'ada gives grace 6',
      '{"bank":-10,"ada":4,"grace":6}',
      'a snapshot before offset 2',
    ])
    assert.deepEqual(await runExample('same-program.js', folder), [
      'the ledger is there',
      'ada has not got 6',
      '{"bank":-10,"ada":4,"grace":6}',
      'a snapshot before offset 3',
    ])
  })

  example('crash-safe-counter.js', async (folder) => {
    assert.deepEqual(await runExample('crash-safe-counter.js', folder), [
      'rebuilt from 0 changes: {}',
      'visits: 100',
      'stock: -3',
    ])
    assert.deepEqual(await runExample('crash-safe-counter.js', folder), [
      'rebuilt from 101 changes: { visits: 100, stock: -3 }',
      'visits: 200',
      'stock: -6',
    ])
  })

  example('follow.js', async (folder) => {
    const lines = await runExample('follow.js', folder)
    assert.deepEqual(lines, [
      'read 0: the tide comes in',
      'read 1: it stands',
      'read 2: it goes out',
      'stopped after 3 messages',
    ])
  })

  example('many-logs.js', async (folder) => {
    assert.deepEqual(await runExample('many-logs.js', folder), [
      'ada has 1 entries',
      'grace has 1 entries',
      'barbara has 1 entries',
      'without the lock: LOCKED',
    ])
    const log = await Log.open(join(folder, 'ada'))
    assert.equal(log.highWaterMark, 1)
    await log.close()
  })

  example('protocol-buffers/orders.js', async (folder) => {
    assert.deepEqual(await runExample('protocol-buffers/orders.js', folder), [
      '0: o-1 of ada, 2 items, 11400 cents',
      '1: o-2 of grace, 0 items, 0 cents',
    ])
  })

  example('prometheus.js', async (folder) => {
    const child = spawn(process.execPath, [join(EXAMPLES, 'prometheus.js'), folder, '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    try {
      const [line] = (await once(child.stdout, 'data')) as [Buffer]
      const url = line.toString().trim()
      const response = await fetch(url)
      assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
      checkExposition(await response.text())
      assert.equal((await fetch(`${url}/elsewhere`)).status, 404)
    } finally {
      child.kill('SIGTERM')
    }
    assert.deepEqual(await exited, [0, null])
  })

  example('work-queue.js', async (folder) => {
    const path = join(EXAMPLES, 'work-queue.js')
    const killed = new Program(path, folder)
    await killed.printed('job 2 begins: train the model')
    killed.kill('SIGKILL')
    assert.equal(await killed.ended(), 'SIGKILL')
    assert.deepEqual(killed.lines, [
      '5 jobs to do',
      'job 0 begins: print the invoice',
      'job 0 is done',
      'job 1 begins: pack the parcel',
      'job 1 is done',
      'job 2 begins: train the model',
    ])
    assert.deepEqual(await runExample('work-queue.js', folder), [
      '3 jobs to do',
      'job 2 begins: train the model',
      'job 2 is done',
      'job 3 begins: send the parcel',
      'job 3 is done',
      'job 4 begins: ask for stars',
      'job 4 is done',
      '0 jobs to do',
    ])
    assert.deepEqual(await runExample('work-queue.js', folder), ['0 jobs to do', '0 jobs to do'])
  })

  example('event-sourcing.js', async (folder) => {
    const path = join(EXAMPLES, 'event-sourcing.js')
    const killed = new Program(path, folder)
    const requests = ['r1 ada 100', 'r2 grace 50', 'r3 ada -30', 'r4 grace -80', 'r5 ada 1']
    for (const request of requests) killed.type(request)
    await killed.printed('r5: ada has 71')
    killed.kill('SIGKILL')
    assert.equal(await killed.ended(), 'SIGKILL')
    assert.deepEqual(killed.lines, [
      'snapshot before entry 0, 0 entries replayed',
      'r1: ada has 100',
      'r2: grace has 50',
      'r3: ada has 70',
      'r4: refused',
      'snapshot before entry 4',
      'r5: ada has 71',
    ])
    const again = new Program(path, folder)
    for (const request of ['r5 ada 1', 'r1 ada 100', 'r6 ada x', 'r7 ada 1']) again.type(request)
    again.endInput()
    assert.equal(await again.ended(), 0, again.errors)
    assert.deepEqual(again.lines, [
      'snapshot before entry 4, 1 entries replayed',
      'r5: ada has 71 (as before)',
      'r1: ada has 100 (as before)',
      'r6: not a whole amount',
      'r7: ada has 72',
      'snapshot before entry 8',
      '{ ada: 72, grace: 50 }',
    ])
    const log = await Log.open(folder)
    assert.deepEqual([log.lowWaterMark, await log.snapshots.list()], [8, [8]])
    await log.close()
  })

  example('durable-map.js', async (folder) => {
    const lines = [
      'there are 5 of green tea',
      'sold: true, false',
      'tea:black = 3',
      'tea:green = 5',
      'the offer is over',
      'changed: tea:green to 5',
      'changed: tea:black to 3',
      'changed: milk to 8',
      'changed: milk to 7',
      'changed: offer to 1',
      'changed: offer is gone',
      'changed: tea:black is gone',
    ]
    for (const size of [0, 2]) {
      const found = await runExample('durable-map.js', folder)
      assert.deepEqual(found, [`opened with ${size} keys`, ...lines])
    }
  })

  example('replicated-kv.js', async (folder) => {
    assert.deepEqual(await runExample('replicated-kv.js', folder), [
      'written on 1, read on 2: tea',
      '3 is away, written on 2, read on 1: coffee',
      '3 is back, and has: coffee',
      'deleted on 3: 200, read on 1: 404',
    ])
  })

  example('outbox.js', async (folder) => {
    assert.deepEqual(await runExample('outbox.js', folder), [
      'two writes, stopped after',
      '  nothing                 right  0 orders, 0 mails',
      '  the order was written   WRONG  1 orders, 0 mails',
      '  the mail was sent       right  1 orders, 1 mails',
      '  nothing                 right  1 orders, 1 mails',
      '  the order was written   WRONG  2 orders, 1 mails',
      '  the mail was sent       right  2 orders, 2 mails',
      'an outbox, stopped after',
      '  nothing                 right  0 orders, 0 mails',
      '  the order was written   right  1 orders, 1 mails',
      '  the mail was sent       right  1 orders, 1 mails, one came twice',
      '  the delivery was noted  right  1 orders, 1 mails',
      '  nothing                 right  1 orders, 1 mails',
      '  the order was written   right  2 orders, 2 mails',
      '  the mail was sent       right  2 orders, 2 mails, one came twice',
      '  the delivery was noted  right  2 orders, 2 mails',
    ])
  })

  example('service.js', async (folder) => {
    const path = join(EXAMPLES, 'service.js')
    const stopped = new Program(path, folder)
    for (const order of ['ada 3', 'grace x', 'grace 8', 'grace 7']) stopped.type(order)
    await stopped.printed('order 2, 0 are left')
    await stopped.printed('mail to grace: your 7 are on the way')
    stopped.kill('SIGTERM')
    assert.equal(await stopped.ended(), 0, stopped.errors)
    assert.deepEqual(stopped.lines.toSorted(), [
      '0 orders, 0 mails to send',
      'mail to ada: your 3 are on the way',
      'mail to grace: your 7 are on the way',
      'not a count',
      'only 7 are left',
      'order 1, 7 are left',
      'order 2, 0 are left',
      'stopped',
    ])
    const killed = new Program(path, folder)
    await killed.printed('2 orders, 0 mails to send')
    killed.type('ada 1')
    await killed.printed('only 0 are left')
    killed.kill('SIGKILL')
    assert.equal(await killed.ended(), 'SIGKILL')
    const again = new Program(path, folder)
    again.endInput()
    assert.equal(await again.ended(), 0, again.errors)
    assert.deepEqual(again.lines, ['2 orders, 0 mails to send', 'stopped'])
  })

  example('audit-log.js', async (folder) => {
    for (const [i, what] of ['opened the vault', 'counted', 'closed the vault'].entries()) {
      const { stdout } = await run(process.execPath, [
        join(EXAMPLES, 'audit-log.js'),
        folder,
        'ada',
        what,
      ])
      const lines = stdout.trimEnd().split('\n')
      assert.deepEqual(lines.slice(0, 2), [`${i} entries are sound`, `entry ${i}: ada ${what}`])
      assert.match(lines[2]!, /^keep this elsewhere: [0-9a-f]{64}$/)
    }
    const log = await Log.open(folder, { mode: 'read', codec: text })
    const entries: string[] = []
    for await (const { data } of log.read()) entries.push(data)
    await log.close()
    // Whoever can write to the folder can make a log whose checksums are right.
    const forgeries: [name: string, entries: string[], broken: number][] = [
      ['changed', entries.map((entry) => entry.replace('counted', 'slept')), 2],
      ['removed', entries.toSpliced(1, 1), 1],
      ['swapped', [entries[1]!, entries[0]!, entries[2]!], 0],
    ]
    for (const [name, forged, broken] of forgeries) {
      const at = `${folder}-${name}`
      const forgery = await Log.open(at, { codec: text })
      await forgery.appendBatch(forged)
      await forgery.close()
      const program = new Program(join(EXAMPLES, 'audit-log.js'), at)
      assert.equal(await program.ended(), 1, name)
      assert.equal(program.errors, `the chain is broken before entry ${broken}\n`, name)
      assert.deepEqual(program.lines, [], name)
    }
  })

  example('two-processes.js', async (folder) => {
    const path = join(EXAMPLES, 'two-processes.js')
    const reader = new Program(path, folder, 'read')
    const first = new Program(path, folder, 'write')
    first.type('the tide comes in')
    await reader.printed('0: the tide comes in')
    first.type('it stands')
    await first.printed('entry 1 is safe')
    first.kill('SIGKILL')
    assert.equal(await first.ended(), 'SIGKILL')
    await reader.printed('1: it stands')
    const second = new Program(path, folder, 'write')
    second.type('it goes out')
    second.endInput()
    assert.equal(await second.ended(), 0, second.errors)
    assert.deepEqual(second.lines, [`writing to ${folder}`, 'entry 2 is safe'])
    await reader.printed('2: it goes out')
    reader.kill('SIGTERM')
    assert.equal(await reader.ended(), 0, reader.errors)
    assert.deepEqual(reader.lines, [
      '0: the tide comes in',
      '1: it stands',
      '2: it goes out',
      'told to stop',
    ])
    const lost = new Program(path, folder)
    assert.equal(await lost.ended(), 2)
    assert.equal(lost.errors, 'two-processes.js <folder> write|read\n')
  })

  it('are all tested', () => {
    const there = readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' })
      .map((name) => name.replaceAll('\\', '/'))
      .filter((name) => name.endsWith('.js') && !name.endsWith('_pb.js'))
    assert.deepEqual(there.sort(), [...TESTED].sort())
  })

  it('are all listed in examples/README.md', () => {
    const page = pageAt('examples/README.md')
    const listed = new Set(linksOf(page).map(({ target }) => target))
    const there = readdirSync(join(ROOT, 'examples')).filter((name) => name !== 'README.md')
    assert.deepEqual(
      there.filter((name) => !listed.has(name)),
      [],
    )
  })
})
