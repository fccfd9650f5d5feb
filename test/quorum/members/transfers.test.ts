import assert from 'node:assert/strict'
import { cpSync, existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type CommitLog, Log, TidemarkError } from 'tidemark'
import { ClusterClient, exportLog, importLog } from 'tidemark/quorum'
import { tidemark } from '../../cli/tidemark.js'
import { Trio } from './trio.ts'

type Shown = readonly [type: number, timestamp: number, count: number, data: string]

async function shownOf(log: CommitLog<Buffer, Uint8Array | string>): Promise<Shown[]> {
  await log.barrier()
  const shown: Shown[] = []
  for await (const { type, timestamp, count, data } of log.read()) {
    shown.push([type, timestamp, count, data.toString()])
  }
  return shown
}

async function shownIn(folder: string): Promise<Shown[]> {
  const log = await Log.open(folder, { mode: 'read' })
  try {
    return await shownOf(log)
  } finally {
    await log.close()
  }
}

/** Fails the answers of some calls, which have had their effect. */
function losing(client: ClusterClient, isLost: (call: number) => boolean): ClusterClient {
  let call = 0
  return new Proxy(client, {
    get(target, key) {
      if (key !== 'exchange') return Reflect.get(target, key, target)
      return async (...args: Parameters<ClusterClient['exchange']>) => {
        const answer = await target.exchange(...args)
        if (args[0].do === 'import' && isLost(call++)) {
          // As if it had come twice: the second time nothing is appended.
          assert.deepEqual((await target.exchange(...args)).ok, answer.ok)
          throw new TidemarkError('UNCERTAIN', 'the answer is lost')
        }
        return answer
      }
    },
  })
}

describe('entries of a cluster', () => {
  let trio: Trio
  let client: ClusterClient
  const at = (name: string) => join(trio.dir, name)
  const text = (i: number) => `${i} ${'abcdefgh'.repeat(i % 50)}`

  before(async () => {
    trio = await Trio.start()
    client = await ClusterClient.connect({ address: trio.peers[1]! })
  })
  after(async () => {
    await client.close()
    await trio.stop()
  })

  it('are exported as they are, and what comes later the next time', async () => {
    const log = await trio.member(2).log('orders')
    for (let i = 0; i < 40; i++) {
      const options = { type: i % 2 ? 1 : 200, timestamp: 1000 + i, count: 1 + (i % 3) }
      await log.append(text(i), options)
    }
    const to = at('exported')
    const first = await exportLog(client, 'orders', to)
    assert.deepEqual([first.entries, first.folder, first.isResumed], [40, to, false])
    const shown = await shownOf(log)
    assert.deepEqual(await shownIn(to), shown)
    assert.deepEqual([shown[2]![0], shown[2]![1], shown[2]![2]], [200, 1002, 3])
    assert.equal((await exportLog(client, 'orders', to)).entries, 0)

    // A process that ended before it wrote down what it had appended.
    const early = at('early')
    cpSync(`${to}.export.json`, `${early}.json`)
    await log.appendBatch(['a', 'b', 'c'])
    const more = await exportLog(client, 'orders', to)
    assert.deepEqual([more.entries, more.isResumed], [3, true])
    cpSync(`${early}.json`, `${to}.export.json`)
    await log.append('d')
    assert.equal((await exportLog(client, 'orders', to)).entries, 1)
    assert.deepEqual(await shownIn(to), await shownOf(log))
  })

  it('are not exported into what is something else', async () => {
    await (await trio.member(1).log('other')).append('x')
    const to = at('mine')
    const mine = await Log.open(to)
    await mine.append('mine')
    await mine.close()
    await assert.rejects(exportLog(client, 'orders', to), {
      code: 'INVALID_ARGUMENT',
      message: /no export has made/,
    })
    const other = at('of other')
    await exportLog(client, 'other', other)
    await assert.rejects(exportLog(client, 'orders', other), {
      code: 'INVALID_ARGUMENT',
      message: /is of log \d+, other/,
    })
    writeFileSync(`${other}.export.json`, 'nothing')
    await assert.rejects(exportLog(client, 'other', other), {
      message: /not what an export writes/,
    })
    rmSync(other, { recursive: true })
    await assert.rejects(exportLog(client, 'none', at('none')), { code: 'NOT_FOUND' })
    assert(!existsSync(at('none')))
  })

  it('are imported once, whatever answers are lost, and beside what others append', async () => {
    const folder = at('source')
    const source = await Log.open(folder)
    const wide = 'x'.repeat(30_000)
    for (let i = 0; i < 150; i++) {
      await source.append(`${i} ${wide}`, {
        type: i % 2 ? 1 : 201,
        timestamp: 5 + i,
        count: 1 + (i % 2),
      })
    }
    const target = await trio.member(3).log('imported')
    await target.append('before')
    let isOver = false
    const others = (async () => {
      for (let i = 0; !isOver; i++) await target.append(`other ${i}`)
    })()
    const flaky = losing(client, (call) => call % 3 === 1)
    const report = await importLog(flaky, folder, 'imported')
    assert.deepEqual([report.entries, report.isResumed], [150, false])
    // Of another process, by another member.
    await source.append('more')
    const next = await ClusterClient.connect({ address: trio.peers[2]! })
    const again = await importLog(next, folder, 'imported')
    await next.close()
    isOver = true
    await others
    assert.deepEqual([again.entries, again.isResumed], [1, true])
    const own = (await shownOf(target)).filter(([, , , data]) => !/^(other|before)/.test(data))
    assert.deepEqual(own, await shownOf(source))
    assert.equal((await importLog(client, folder, 'imported')).entries, 0)
    assert.equal((await importLog(client, folder, 'imported', { name: 'anew' })).entries, 151)
    await source.close()
  })

  it('go on after a process that ended in the middle, and not where that cannot be known', async () => {
    const folder = at('long')
    const source = await Log.open(folder)
    for (let i = 0; i < 60; i++) await source.append(`${i} ${'y'.repeat(100_000)}`)
    const target = await trio.member(1).log('long')
    const stop = new AbortController()
    const onProgress = () => stop.abort(new Error('enough'))
    await assert.rejects(
      importLog(client, folder, 'long', { signal: stop.signal, onProgress }),
      /enough/,
    )
    const { entries, isResumed } = await importLog(client, folder, 'long')
    assert.deepEqual([entries > 0 && entries < 60, isResumed], [true, true])
    assert.deepEqual(await shownOf(target), await shownOf(source))
    await source.append('later')
    await target.trim(target.highWaterMark)
    await assert.rejects(importLog(client, folder, 'long'), { code: 'TRIMMED' })
    await assert.rejects(importLog(client, folder, 'nowhere'), { code: 'NOT_FOUND' })
    await source.close()
  })

  it('are moved by the command line, by a member that has the log', async () => {
    const alone = await trio.member(3).log('alone', { replicas: 1 })
    await alone.appendBatch(['one', 'two'])
    const [host] = trio
      .member(1)
      .status()
      .placements.find(({ name }) => name === 'alone')!.replicas
    const other = ['--at', trio.peers[(host! % 3) + 1]!]
    const to = at('by command')
    const done = await tidemark(['cluster', 'export', 'alone', to, ...other])
    const said = `exported 2 entries of alone into ${to}, up to offset ${alone.highWaterMark}\n`
    assert.deepEqual([`${done.stdout}${done.stderr}`, done.code], [said, 0])
    await trio.member(1).log('copy')
    const into = await tidemark(['cluster', 'import', to, 'copy', '--json', ...other])
    assert.deepEqual(JSON.parse(into.stdout.toString()), {
      log: 'copy',
      entries: 2,
      next: 2,
      isResumed: false,
    })
    const again = await tidemark(['cluster', 'import', to, 'copy', ...other])
    assert.equal(`${again.stdout}`, `imported 0 entries more of ${to} into copy, up to offset 2\n`)
    const none = await tidemark(['cluster', 'import', at('nothing'), 'copy', ...other])
    assert.match(none.stderr, /^tidemark: NOT_FOUND: /)
    const no = await tidemark(['cluster', 'export', 'nolog', at('no'), ...other])
    assert.equal(no.stderr, 'tidemark: NOT_FOUND: there is no log "nolog"\n')
    const usage = await tidemark(['cluster', 'export', 'alone', ...other])
    assert.deepEqual(
      [usage.code, /needs <log> <dir>, and was given 1/.test(usage.stderr)],
      [2, true],
    )
  })
})
