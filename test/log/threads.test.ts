// Logs in worker threads: what holds between processes holds between threads, and one thing more, the end
// of a thread that does not take its process with it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { FolderLock, inspectLog, Log, text, verifyLog } from 'tidemark'
import { assertCode, someTexts } from './fixtures.ts'
import { LogThread } from './log-thread.ts'

const SEGMENT_BYTES = 4096

const parent = mkdtempSync(join(tmpdir(), 'tidemark-threads-'))
after(() => rmSync(parent, { recursive: true, force: true }))

const at = (name: string) => join(parent, name)

const TEXT_ALONE = { ...process.env, TIDEMARK_NO_NATIVE_LOCK: '1' }

/** What locks there are here: the kernel's, and the text alone. */
function locks(t: TestContext): readonly [name: string, env: NodeJS.ProcessEnv][] {
  if (process.env.TIDEMARK_NO_NATIVE_LOCK === '1') return [['text', TEXT_ALONE]]
  try {
    createRequire(import.meta.url)('fs-native-extensions')
  } catch {
    t.diagnostic('fs-native-extensions is not installed: only the text is tested')
    return [['text', TEXT_ALONE]]
  }
  return [
    ['kernel', process.env],
    ['text', TEXT_ALONE],
  ]
}

function start(t: TestContext, env?: NodeJS.ProcessEnv): LogThread {
  const thread = new LogThread(env)
  t.after(() => thread.end())
  return thread
}

async function textsIn(folder: string): Promise<string[]> {
  const log = await Log.open(folder, { codec: text })
  const texts: string[] = []
  for await (const { data } of log.read()) texts.push(data)
  await log.close()
  return texts
}

describe('logs in worker threads', () => {
  it('go on beside each other, each in its own folder', async (t) => {
    const threads = ['a', 'b', 'c', 'd'].map((name) => ({ folder: at(name), thread: start(t) }))
    const options = { segmentBytes: SEGMENT_BYTES }
    await Promise.all(
      threads.map(async ({ folder, thread }) => {
        assert.deepEqual(await thread.ask({ action: 'open', folder, options }), {})
        for (let i = 0; i < 5; i++) {
          const texts = someTexts(50, 50 * i).map((word) => `${folder} ${word}`)
          const { offsets } = await thread.ask({ action: 'append', texts })
          assert.deepEqual(
            offsets,
            texts.map((_, k) => 50 * i + k),
          )
        }
        assert.deepEqual(await thread.ask({ action: 'close' }), {})
      }),
    )
    for (const { folder } of threads) {
      assert.ok((await inspectLog(folder)).segments > 3)
      const texts = someTexts(250).map((word) => `${folder} ${word}`)
      assert.deepEqual(await textsIn(folder), texts)
    }
  })

  it('have one writer, in whatever thread', async (t) => {
    for (const [name, env] of locks(t)) {
      const folder = at(`one-${name}`)
      const [first, second] = [start(t, env), start(t, env)]
      const open = { action: 'open', folder } as const
      const refused = { code: 'LOCKED', pid: process.pid }
      assert.deepEqual(await first.ask(open), {})
      assert.deepEqual(await second.ask(open), refused)
      assert.equal((await assertCode('LOCKED', Log.open(folder))).details.pid, process.pid)
      assert.equal((await inspectLog(folder)).writerPid, process.pid)
      await first.ask({ action: 'append', texts: ['by the first'] })
      assert.deepEqual(await first.ask({ action: 'close' }), {})
      assert.deepEqual(await second.ask(open), {})
      assert.deepEqual(await first.ask(open), refused)
      await second.ask({ action: 'append', texts: ['by the second'] })
      assert.deepEqual(await second.ask({ action: 'close' }), {})
      assert.deepEqual(await textsIn(folder), ['by the first', 'by the second'])
    }
  })

  it('follow what the main thread writes', async (t) => {
    const folder = at('followed')
    const log = await Log.open(folder, { codec: text, segmentBytes: SEGMENT_BYTES })
    await log.append('entry 0')
    const threads = [start(t), start(t)]
    for (const thread of threads) {
      await thread.ask({ action: 'open', folder, options: { mode: 'read' } })
    }
    const followed = threads.map((thread) => thread.ask({ action: 'follow', count: 500 }))
    for (let i = 1; i < 500; i += 10) {
      await Promise.all(someTexts(Math.min(10, 500 - i), i).map((data) => log.append(data)))
    }
    for (const { texts } of await Promise.all(followed)) assert.deepEqual(texts, someTexts(500))
    for (const thread of threads) assert.deepEqual(await thread.ask({ action: 'close' }), {})
    assert.ok(log.metrics().rolls > 5)
    await log.close()
  })
})

/** Has a thread append, and ends it in the middle. Returns how many entries it was told of. */
async function endInTheMiddle(thread: LogThread, folder: string): Promise<number> {
  const options = { segmentBytes: SEGMENT_BYTES }
  assert.deepEqual(await thread.ask({ action: 'open', folder, options }), {})
  let told = 0
  let reply = thread.ask({ action: 'flood' })
  for (let i = 0; i < 20; i++) {
    told = (await reply).offsets!.at(-1)! + 1
    reply = thread.reply()
  }
  await thread.end()
  return told
}

async function checkEnded(folder: string, told: number): Promise<void> {
  const texts = await textsIn(folder)
  assert.ok(texts.length >= told, `${texts.length} entries are there, ${told} were acknowledged`)
  assert.deepEqual(texts, someTexts(texts.length))
  const { sound, damage } = await verifyLog(folder)
  assert.ok(sound, JSON.stringify(damage))
}

describe('a worker thread that is ended in the middle of appends', () => {
  it('has lost nothing, and with the kernel’s lock its log is free at once', async (t) => {
    if (locks(t).length === 1) return t.skip('no native package')
    for (const round of [1, 2, 3]) {
      const folder = at(`ended-${round}`)
      await checkEnded(folder, await endInTheMiddle(start(t), folder))
    }
  })

  it('keeps it shut where there is the text alone, until the process ends', async () => {
    const folder = at('shut')
    const code = `
      import { LogThread } from ${JSON.stringify(new URL('./log-thread.js', import.meta.url).href)}
      import { inspectLog, Log } from 'tidemark'
      const thread = new LogThread()
      await thread.ask({ action: 'open', folder: ${JSON.stringify(folder)} })
      await thread.ask({ action: 'append', texts: ['entry 0', 'entry 1'] })
      await thread.end()
      const found = await Log.open(${JSON.stringify(folder)}).catch((error) => error)
      const { hasWriter } = await inspectLog(${JSON.stringify(folder)})
      process.stdout.write([found.code, found.details?.pid === process.pid, hasWriter].join(' '))
    `
    const args = ['--input-type=module', '-e', code]
    const { stdout } = await promisify(execFile)(process.execPath, args, { env: TEXT_ALONE })
    assert.equal(stdout, 'LOCKED true true')
    await checkEnded(folder, 2)
  })

  it('lets go when the lock file is removed by whoever has ended it', async (t) => {
    const folder = at('freed')
    const told = await endInTheMiddle(start(t, TEXT_ALONE), folder)
    rmSync(join(folder, 'lock'))
    await checkEnded(folder, told)
  })
})

describe('twenty logs under one lock', () => {
  it('append and roll at the same time', async (t) => {
    const folder = at('many')
    const lock = await FolderLock.acquire(folder)
    const names = Array.from({ length: 20 }, (_, i) => join(folder, `log-${i}`))
    const options = { codec: text, lock, segmentBytes: SEGMENT_BYTES }
    const logs = await Promise.all(names.map((name) => Log.open(name, options)))
    const stranger = start(t)
    await Promise.all(
      logs.map(async (log, i) => {
        for (let round = 0; round < 6; round++) {
          const texts = someTexts(40, 40 * round).map((word) => `${i}: ${word}`)
          if ((i + round) % 3 === 0) for (const data of texts) log.appendSync(data)
          else await Promise.all(texts.map((data) => log.append(data)))
          if (round === 2) await log.trim(50)
        }
      }),
    )
    const refused = await stranger.ask({ action: 'open', folder: names[7]! })
    assert.deepEqual(refused, { code: 'LOCKED', pid: process.pid })
    for (const [i, log] of logs.entries()) {
      assert.ok(log.metrics().rolls >= 3, `${log.metrics().rolls} rolls`)
      assert.equal(log.highWaterMark, 240)
      for await (const { offset, data } of log.read()) assert.equal(data, `${i}: entry ${offset}`)
    }
    await Promise.all(logs.map((log) => log.close()))
    lock.release()
    for (const name of names) {
      const { sound, highWaterMark } = await verifyLog(name)
      assert.deepEqual([sound, highWaterMark], [true, 240])
    }
    assert.deepEqual(await stranger.ask({ action: 'open', folder: names[7]! }), {})
    assert.deepEqual(await stranger.ask({ action: 'close' }), {})
  })
})
