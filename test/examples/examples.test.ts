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
import { Log } from 'tidemark'

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

  it('are all tested', () => {
    const there = readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' })
      .map((name) => name.replaceAll('\\', '/'))
      .filter((name) => name.endsWith('.js') && !name.endsWith('_pb.js'))
    assert.deepEqual(there.sort(), [...TESTED].sort())
  })
})
