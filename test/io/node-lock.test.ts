import assert from 'node:assert/strict'
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs, { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { TidemarkError } from '#dist/base/index.js'
import { tryKernelLock } from '#dist/io/kernel-lock.js'
import { formatRecord, type LockRecord } from '#dist/io/lock-guard.js'
import { lockHolderSync, lockSync } from '#dist/io/node-lock.js'
import { aliveness, parseStat, thisProcess } from '#dist/io/process-identity.js'
import { caseCount } from '../cases.ts'
import type { Reply, Request } from './lock-child.js'

const CHILD = fileURLToPath(new URL('./lock-child.js', import.meta.url))
const RACERS = 8
const ROUNDS = caseCount(20, 6)

type Mode = 'native' | 'fallback'

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-lock-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Makes this process lock in `mode` until the test ends. */
function useMode(t: TestContext, mode: Mode): void {
  if (mode === 'native') delete process.env.TIDEMARK_NO_NATIVE_LOCK
  else process.env.TIDEMARK_NO_NATIVE_LOCK = '1'
  t.after(() => {
    delete process.env.TIDEMARK_NO_NATIVE_LOCK
  })
}

const original: Record<string, unknown> = { ...fs }
const { ftruncateSync, linkSync } = fs

/** Replaces functions of node:fs, for everyone, until the test ends. */
function replaceFs(t: TestContext, functions: Record<string, unknown>): void {
  Object.assign(fs, functions)
  syncBuiltinESMExports()
  t.after(() => {
    for (const name of Object.keys(functions)) Object.assign(fs, { [name]: original[name] })
    syncBuiltinESMExports()
  })
}

class Child {
  readonly process: ChildProcess

  constructor(t: TestContext, mode: Mode) {
    const env = { ...process.env, TIDEMARK_NO_NATIVE_LOCK: mode === 'native' ? '0' : '1' }
    this.process = fork(CHILD, { env })
    t.after(() => this.kill())
  }

  get pid(): number {
    assert.ok(this.process.pid)
    return this.process.pid
  }

  get ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null
  }

  async ask(request: Request): Promise<Reply> {
    this.process.send(request)
    const [reply] = (await once(this.process, 'message')) as [Reply]
    return reply
  }

  async kill(): Promise<void> {
    if (this.ended) return
    this.process.kill('SIGKILL')
    await once(this.process, 'exit')
  }
}

function nativeAvailable(t: TestContext): boolean {
  const folder = folderFor(t)
  const fd = fs.openSync(join(folder, 'probe'), 'w+')
  const result = tryKernelLock(fd, false)
  fs.closeSync(fd)
  return result === 'taken'
}

function modes(t: TestContext): Mode[] {
  if (nativeAvailable(t)) return ['native', 'fallback']
  t.diagnostic('fs-native-extensions is not installed: only the fallback is tested')
  return ['fallback']
}

function assertLocked(action: () => unknown, pid: number | undefined, words: RegExp = /locked by/) {
  assert.throws(action, (error) => {
    assert.ok(error instanceof TidemarkError, String(error))
    assert.equal(error.code, 'LOCKED')
    assert.equal(error.details.pid, pid)
    assert.match(error.message, words)
    return true
  })
}

/** A record of this process, alive and without the kernel's lock, but for `change`. */
function recordWith(change: Partial<LockRecord>): string {
  return formatRecord({ ...thisProcess(), token: 'a1', kernelLock: false, ...change })
}

const linux = process.platform === 'linux'

describe('a lock between processes', () => {
  for (const [first, second] of [
    ['native', 'native'],
    ['fallback', 'fallback'],
    ['native', 'fallback'],
    ['fallback', 'native'],
  ] as const) {
    it(`is exclusive and dies with its holder: ${first}, then ${second}`, async (t) => {
      if (!modes(t).includes('native') && first !== second) return t.skip('no native package')
      const path = join(folderFor(t), 'lock')
      useMode(t, second)
      const holder = new Child(t, first)
      assert.equal(lockHolderSync(path), undefined)
      assert.deepEqual(await holder.ask({ action: 'lock', path }), { result: 'done' })

      const refused = await new Child(t, second).ask({ action: 'lock', path })
      assert.equal(refused.result, 'LOCKED')
      assert.equal(refused.pid, holder.pid)
      const started = performance.now()
      assertLocked(() => lockSync(path), holder.pid, new RegExp(`process ${holder.pid}:`))
      assert.ok(performance.now() - started < 1000, 'refused at once')
      assert.equal(lockHolderSync(path)?.pid, holder.pid)

      await holder.kill()
      assert.equal(lockHolderSync(path), undefined)
      const lock = lockSync(path)
      assert.equal(lockHolderSync(path)?.pid, process.pid)
      const late = await new Child(t, first).ask({ action: 'lock', path })
      assert.equal(late.pid, process.pid)
      lock.releaseSync()
      assert.equal(lockHolderSync(path), undefined)
      assert.deepEqual(readdirSync(join(path, '..')), ['lock'])
    })
  }

  it('is free after a release, while the process goes on', async (t) => {
    for (const mode of modes(t)) {
      useMode(t, mode)
      const path = join(folderFor(t), 'lock')
      const child = new Child(t, mode)
      for (let round = 0; round < 5; round++) {
        assert.equal((await child.ask({ action: 'lock', path })).result, 'done')
        assert.equal((await child.ask({ action: 'release', path })).result, 'done')
        assert.equal(readFileSync(path, 'utf8'), '')
        lockSync(path).releaseSync()
      }
    }
  })

  it('keeps no process alive', async (t) => {
    for (const mode of modes(t)) {
      const path = join(folderFor(t), 'lock')
      const child = new Child(t, mode)
      const exited = once(child.process, 'exit')
      assert.equal((await child.ask({ action: 'idle', path })).result, 'done')
      assert.deepEqual(await exited, [0, null])
      useMode(t, mode)
      assert.equal(lockHolderSync(path), undefined)
      lockSync(path).releaseSync()
    }
  })
})

describe('a lock within one process', () => {
  it('refuses a second caller, whatever way it names the file', (t) => {
    for (const mode of modes(t)) {
      useMode(t, mode)
      const folder = folderFor(t)
      const path = join(folder, 'lock')
      fs.symlinkSync(folder, join(folder, 'alias'))
      const lock = lockSync(path)
      assertLocked(() => lockSync(path), process.pid, /this process/)
      assertLocked(() => lockSync(join(folder, 'alias', 'lock')), process.pid, /this process/)
      assert.equal(lockHolderSync(join(folder, 'alias', 'lock'))?.pid, process.pid)
      lock.releaseSync()
      assert.throws(() => lock.releaseSync(), /invariant/)
      lockSync(path).releaseSync()
    }
  })

  it('holds between threads', async (t) => {
    for (const mode of modes(t)) {
      useMode(t, mode)
      const path = join(folderFor(t), 'lock')
      const module = new URL(import.meta.resolve('#dist/io/node-lock.js')).href
      const code = `
        const { parentPort, workerData } = require('node:worker_threads')
        import(workerData.module).then(({ lockSync }) => {
          const lock = lockSync(workerData.path)
          parentPort.once('message', () => lock.releaseSync())
          parentPort.postMessage('locked')
        })`
      const worker = new Worker(code, { eval: true, workerData: { module, path } })
      await once(worker, 'message')
      assertLocked(() => lockSync(path), process.pid, /this process/)
      assert.equal(lockHolderSync(path)?.pid, process.pid)
      worker.postMessage('release')
      await once(worker, 'exit')
      lockSync(path).releaseSync()
    }
  })
})

describe('the text in a lock file', () => {
  it('of a process that is gone does not hold the lock', (t) => {
    const self = thisProcess()
    const gone: Record<string, Partial<LockRecord>> = { 'no such pid': { pid: 2 ** 22 + 1 } }
    if (linux) {
      gone['a pid that was used again'] = { startTime: `${Number(self.startTime) - 1}` }
      gone['an earlier start of the machine'] = { bootId: 'another' }
    }
    for (const mode of modes(t)) {
      useMode(t, mode)
      for (const [name, change] of Object.entries(gone)) {
        const path = join(folderFor(t), 'lock')
        writeFileSync(path, recordWith(change))
        assert.equal(lockHolderSync(path), undefined, name)
        lockSync(path).releaseSync()
      }
    }
  })

  it('that is no record does not hold the lock', (t) => {
    const zeros = '\0'.repeat(300)
    const garbage = [
      '',
      '\n',
      'x',
      '{',
      '[]',
      'null',
      '{"pid":1}',
      zeros,
      recordWith({}).slice(0, 40),
    ]
    const hostile = [
      recordWith({ token: '../../x' }),
      recordWith({ pid: 0 }),
      recordWith({ pid: -1 }),
    ]
    for (const mode of modes(t)) {
      useMode(t, mode)
      for (const text of [...garbage, ...hostile, 'x'.repeat(100_000)]) {
        const path = join(folderFor(t), 'lock')
        writeFileSync(path, text)
        assert.equal(lockHolderSync(path), undefined, text.slice(0, 50))
        const lock = lockSync(path)
        assert.equal(JSON.parse(readFileSync(path, 'utf8')).pid, process.pid)
        lock.releaseSync()
      }
    }
  })

  it('of a process that cannot be judged holds it, and the message says what to do', (t) => {
    const elsewhere: Partial<LockRecord>[] = [{ host: 'elsewhere' }]
    if (linux) elsewhere.push({ pidNamespace: 'pid:[1]' }, { bootId: undefined })
    for (const mode of modes(t)) {
      useMode(t, mode)
      for (const change of elsewhere) {
        const path = join(folderFor(t), 'lock')
        writeFileSync(path, recordWith({ pid: 7, ...change }))
        assertLocked(() => lockSync(path), 7, /cannot be told.*if it is certain.*remove .*lock /)
        assert.equal(lockHolderSync(path)?.pid, 7)
        rmSync(path)
        lockSync(path).releaseSync()
      }
    }
  })

  it('written under the lock of the kernel counts for nothing without that lock', (t) => {
    if (!nativeAvailable(t)) return t.skip('no native package')
    const path = join(folderFor(t), 'lock')
    for (const change of [{ host: 'elsewhere' }, {}]) {
      writeFileSync(path, recordWith({ ...change, kernelLock: true }))
      useMode(t, 'fallback')
      assertLocked(() => lockSync(path), process.pid)
      useMode(t, 'native')
      assert.equal(lockHolderSync(path), undefined)
      lockSync(path).releaseSync()
    }
  })
})

describe('the guard of a lock file', () => {
  it('passes on from the dead, and what they left is removed', (t) => {
    for (const mode of modes(t)) {
      useMode(t, mode)
      const folder = folderFor(t)
      const path = join(folder, 'lock')
      const dead = { pid: 2 ** 22 + 1 }
      writeFileSync(path, recordWith({ ...dead, token: '1' }))
      writeFileSync(`${path}.taking`, recordWith({ ...dead, token: '2' }))
      writeFileSync(`${path}.taking-2`, '')
      writeFileSync(`${path}.taking-2lost`, recordWith({ ...dead, token: '3' }))
      writeFileSync(`${path}.taking-99`, recordWith({ ...dead, token: '4' }))
      writeFileSync(`${path}.by-4`, recordWith({ ...dead, token: '4' }))
      writeFileSync(`${path}.by-5`, recordWith({ token: '5' }))
      writeFileSync(join(folder, 'lock2.taking'), recordWith(dead))
      lockSync(path).releaseSync()
      assert.deepEqual(readdirSync(folder).sort(), ['lock', 'lock.by-5', 'lock2.taking'])
    }
  })

  it('in living hands is waited for, but not for ever', (t) => {
    for (const mode of modes(t)) {
      useMode(t, mode)
      const folder = folderFor(t)
      const path = join(folder, 'lock')
      writeFileSync(`${path}.taking`, recordWith({ token: '2' }))
      assertLocked(() => lockSync(path), process.pid)
      writeFileSync(`${path}.taking`, recordWith({ token: '2', host: 'elsewhere' }))
      assertLocked(() => lockSync(path), process.pid, /remove .*lock\.taking and/)
      assert.deepEqual(readdirSync(folder).sort(), ['lock', 'lock.taking'])
      assert.equal(readFileSync(path, 'utf8'), '')
      // A chain that leads back into itself, as only a forger would make it.
      writeFileSync(`${path}.taking`, recordWith({ pid: 2 ** 22 + 1, token: '2' }))
      writeFileSync(`${path}.taking-2`, recordWith({ pid: 2 ** 22 + 1, token: '2' }))
      assertLocked(() => lockSync(path), undefined)
    }
  })

  it('keeps out who found its owner dead, and was slow to claim it', (t) => {
    useMode(t, 'fallback')
    const path = join(folderFor(t), 'lock')
    writeFileSync(`${path}.taking`, recordWith({ pid: 2 ** 22 + 1, token: '2' }))
    let overtaken: 'not yet' | 'right now' | 'done' = 'not yet'
    let tested = false
    replaceFs(t, {
      linkSync: (from: string, to: string) => {
        if (to === `${path}.taking-2` && overtaken === 'not yet') {
          // Another one claims that name, takes the lock, removes all claims, and is done.
          overtaken = 'right now'
          lockSync(path).releaseSync()
          overtaken = 'done'
        }
        linkSync(from, to)
      },
      ftruncateSync: (fd: number, size: number) => {
        if (overtaken === 'done' && !tested) {
          // Here the slow one is inside the guard, so nobody else gets in.
          tested = true
          assertLocked(() => lockSync(path), process.pid)
        }
        ftruncateSync(fd, size)
      },
    })
    const lock = lockSync(path)
    assert.ok(tested)
    lock.releaseSync()
  })

  it('needs hard links, unless the kernel keeps the lock', (t) => {
    replaceFs(t, {
      linkSync: () => {
        throw Object.assign(new Error('EPERM'), { code: 'EPERM', syscall: 'link' })
      },
    })
    const folder = folderFor(t)
    const path = join(folder, 'lock')
    useMode(t, 'fallback')
    assert.throws(() => lockSync(path), { code: 'IO', message: /hard links.*fs-native-extensions/ })
    if (nativeAvailable(t)) {
      useMode(t, 'native')
      const lock = lockSync(path)
      assertLocked(() => lockSync(path), process.pid)
      lock.releaseSync()
    }
    assert.deepEqual(readdirSync(folder), ['lock'])
  })
})

describe('many processes that want one lock', () => {
  for (const crowd of ['native', 'fallback', 'mixed'] as const) {
    const modeOf = (index: number): Mode =>
      crowd === 'mixed' ? (index % 2 === 0 ? 'native' : 'fallback') : crowd

    it(`steal it from the dead one at a time: ${crowd}`, { timeout: 120_000 }, async (t) => {
      if (crowd !== 'fallback' && !nativeAvailable(t)) return t.skip('no native package')
      const folder = folderFor(t)
      const path = join(folder, 'lock')
      const racers = Array.from({ length: RACERS }, (_, index) => new Child(t, modeOf(index)))
      for (let round = 0; round < ROUNDS; round++) {
        const at = Date.now() + 20
        const ask = (racer: Child) => racer.ask({ action: 'race', path, at })
        const replies = await Promise.all(racers.map(ask))
        const winner = replies.findIndex(({ result }) => result === 'done')
        const results = replies.map(({ result }) => result).sort()
        const expected = [...Array(RACERS - 1).fill('LOCKED'), 'done']
        assert.deepEqual(results, expected, JSON.stringify(replies))
        assert.equal(lockHolderSync(path)?.pid, racers[winner]!.pid)
        await racers[winner]!.kill()
        racers[winner] = new Child(t, modeOf(winner))
        rmSync(`${path}-witness`)
      }
      lockSync(path).releaseSync()
      assert.deepEqual(readdirSync(folder), ['lock'])
    })

    it(`are never in it together, though killed at any point: ${crowd}`, async (t) => {
      if (crowd !== 'fallback' && !nativeAvailable(t)) return t.skip('no native package')
      const seconds = Number(process.env.TIDEMARK_LOCK_SOAK_SECONDS ?? 1)
      const folder = folderFor(t)
      const path = join(folder, 'lock')
      const until = Date.now() + seconds * 1000
      let kills = 0
      const churn = async (index: number) => {
        while (Date.now() < until) {
          const child = new Child(t, modeOf(index))
          const timer = setTimeout(() => child.kill(), 100 + Math.random() * 1000)
          const exited = once(child.process, 'exit').then(() => undefined)
          const reply = await Promise.race([
            child.ask({ action: 'churn', path, at: until }),
            exited,
          ])
          clearTimeout(timer)
          if (reply === undefined) kills++
          else assert.equal(reply.result, 'done', reply.message)
          await child.kill()
        }
      }
      await Promise.all(Array.from({ length: RACERS / 2 }, (_, index) => churn(index)))
      const taken = fs.statSync(`${path}-count`).size
      t.diagnostic(`the lock was taken ${taken} times, and ${kills} processes were killed`)
      rmSync(`${path}-witness`, { force: true })
      lockSync(path).releaseSync()
    })
  }
})

describe('the identity of a process', () => {
  it('is read from /proc whatever the process is called', () => {
    const rest = '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20'
    const status = { state: 'S', startTime: '4711' }
    assert.deepEqual(parseStat(`12 (node) S ${rest}`), status)
    assert.deepEqual(parseStat(`12 (a) R 1 (b c)) S ${rest}\n`), status)
    assert.equal(parseStat('12 (node) S 1 2'), undefined)
    assert.equal(parseStat(''), undefined)
  })

  it('tells the living, the dead and the unknown apart', async (t) => {
    const self = thisProcess()
    assert.equal(aliveness(self), 'alive')
    assert.equal(aliveness({ ...self, host: 'elsewhere', pid: 2 ** 22 + 1 }), 'unknown')
    assert.equal(aliveness({ ...self, pid: 2 ** 22 + 1 }), 'dead')
    if (!linux) return t.skip('the rest is read from /proc')
    assert.match(self.bootId ?? '', /^[0-9a-f-]{36}$/)
    assert.match(self.startTime ?? '', /^\d+$/)
    assert.equal(aliveness({ ...self, startTime: '1' }), 'dead')
    assert.equal(aliveness({ ...self, startTime: undefined }), 'alive')
    assert.equal(aliveness({ ...self, bootId: 'other' }), 'dead')
    assert.equal(aliveness({ ...self, bootId: undefined }), 'unknown')
    assert.equal(aliveness({ ...self, pidNamespace: 'pid:[1]' }), 'unknown')
    // The shell's first child ends, and nobody asks for its exit code: a zombie.
    const shell = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'])
    t.after(() => shell.kill('SIGKILL'))
    const [output] = (await once(shell.stdout, 'data')) as [Buffer]
    const zombie = { ...self, pid: Number(output), startTime: undefined }
    for (let wait = 0; wait < 200 && aliveness(zombie) !== 'dead'; wait++) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    assert.equal(aliveness(zombie), 'dead')
    process.kill(zombie.pid, 0)
  })
})
