// docs/errors.md, the README's table and the code have the same errors, and each is provoked: its code and
// its details are what the page says.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { Log, type LogOptions, TidemarkError } from 'tidemark'
import { KafkaLog } from 'tidemark/kafka'
import { StateMachine } from 'tidemark/machine'
import { Member } from 'tidemark/quorum'
import { errnoError, ForgetfulFiles } from 'tidemark/testing'
import { ERROR_CODES, type ErrorCode, errnoOf } from '#dist/base/index.js'
import { denyingBroker } from './denying-broker.ts'
import { pageAt, tableBehind } from './pages.ts'

const LABELS = ['When', 'Kept', 'Do', 'Details']

/** The sections of docs/errors.md whose heading is a code. */
const sections = new Map(
  pageAt('docs/errors.md')
    .text.split(/^## /m)
    .slice(1)
    .map((section) => {
      const [code = '', ...lines] = section.split('\n')
      return [code, lines.join('\n')] as const
    }),
)

/** The words in code of a section's line for `details`. */
function detailsOf(code: string): string[] {
  const [, line = ''] =
    /- \*\*Details:\*\*([\s\S]*?)\n(?:- |\n|$)/.exec(`${sections.get(code)}\n`) ?? []
  return line.trim().startsWith('none')
    ? []
    : [...line.matchAll(/`(\w+)`/g)].map(([, name]) => name!)
}

const files = new ForgetfulFiles()

/** What `action` fails with. */
async function failureOf(action: Promise<unknown>): Promise<TidemarkError> {
  const failure = await action.then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.ok(failure instanceof TidemarkError, `not a TidemarkError: ${failure}`)
  return failure
}

function open(folder: string, options: Omit<LogOptions, 'codec'> = {}): Promise<Log> {
  return Log.open(folder, { files, ...options })
}

/** A closed log with three entries, or what `fill` puts in. */
async function closedLog(folder: string, fill?: (log: Log) => Promise<unknown>): Promise<void> {
  const log = await open(folder)
  await (fill ? fill(log) : log.appendBatch(['a', 'b', 'c']))
  await log.close()
}

function overwrite(path: string, change: (bytes: Uint8Array) => void): void {
  const file = files.openSync(path, 'write')
  const bytes = new Uint8Array(file.sizeSync())
  file.readSync(bytes, 0)
  change(bytes)
  file.writeSync(bytes, 0)
  file.closeSync()
}

/** Makes each error; what comes after it is part of what the page promises. */
const PROVOKE: Readonly<Record<ErrorCode, () => Promise<unknown>>> = {
  async CLOSED() {
    const log = await open('/closed')
    await log.append('x')
    await log.close()
    assert.equal((await log.get(0))?.data.toString(), 'x')
    await log.append('y')
  },
  async CORRUPT() {
    await closedLog('/corrupt')
    const name = files.listSync('/corrupt').find((each) => each.endsWith('.store'))!
    overwrite(`/corrupt/${name}`, (bytes) => {
      bytes[150]! ^= 1
    })
    const log = await open('/corrupt')
    for await (const { offset } of log.read()) assert.ok(offset < 2)
  },
  async DENIED() {
    const broker = await denyingBroker()
    const sasl = { mechanism: 'PLAIN', username: 'writer', password: 'wrong' } as const
    try {
      await KafkaLog.open({ brokers: broker.address, topic: 'orders', sasl })
    } finally {
      broker.close()
    }
  },
  async DIVERGED() {
    const log = await open('/diverged')
    const apply = () => Math.random()
    const machine = await StateMachine.open(log, { initial: () => 0, apply, check: true })
    await machine.execute('x')
    await machine.close()
  },
  async INVALID_ARGUMENT() {
    const misspelt = { segmentByte: 1 } as Omit<LogOptions, 'codec'>
    await open('/misspelt', misspelt)
  },
  async IO() {
    const log = await open('/full')
    await log.append('a')
    files.fault = (op) => (op.kind === 'write' ? errnoError('ENOSPC', 'write', op.path) : undefined)
    const failure = await failureOf(log.append('b'))
    files.fault = undefined
    assert.equal(errnoOf(failure.cause), 'ENOSPC')
    assert.equal(await log.append('c'), 1)
    throw failure
  },
  async LOCKED() {
    await open('/locked')
    await open('/locked')
  },
  async NOT_FOUND() {
    await open('/nowhere', { mode: 'read' })
  },
  async OVERLOADED() {
    const log = await open('/flood', { maxEntryBytes: 10, maxPendingBytes: 60 })
    const taken = log.append('x'.repeat(10))
    const refused = await failureOf(log.append('y'.repeat(10)))
    assert.equal(await taken, 0)
    await log.drained()
    assert.equal(await log.append('y'), 1)
    throw refused
  },
  async POISONED() {
    const log = await open('/poisoned')
    await log.append('a')
    files.fault = (op) => (op.kind === 'datasync' ? errnoError('EIO', 'sync', op.path) : undefined)
    const failure = await failureOf(log.append('b'))
    files.fault = undefined
    assert.equal(errnoOf(failure.cause), 'EIO')
    assert.equal((await failureOf(log.append('c'))).code, 'POISONED')
    assert.equal((await log.get(0))?.data.toString(), 'a')
    await log.close()
    const again = await open('/poisoned')
    assert.equal((await again.get(0))?.data.toString(), 'a')
    throw failure
  },
  async READ_ONLY() {
    await closedLog('/read-only')
    await (await open('/read-only', { mode: 'read' })).append('x')
  },
  async TOO_LARGE() {
    await (await open('/large', { maxEntryBytes: 3 })).append('four')
  },
  async TRIMMED() {
    const log = await open('/trimmed')
    await log.appendBatch(['a', 'b', 'c'])
    await log.trim(2)
    assert.equal(await log.get(1), undefined)
    await log.read({ from: 1 }).next()
  },
  async UNAVAILABLE() {
    const dir = mkdtempSync(join(tmpdir(), 'tidemark-errors-'))
    // Nobody else is there, so one of two is no quorum.
    const peers = { 1: '127.0.0.1:1', 2: '127.0.0.1:2' }
    const member = await Member.start({ id: 1, dir, listen: '127.0.0.1:0', peers, timeoutMs: 50 })
    try {
      await member.log('orders')
    } finally {
      await member.close()
      rmSync(dir, { recursive: true })
    }
  },
  async UNCERTAIN() {
    const log = await open('/uncertain')
    let applied = 0
    const machine = await StateMachine.open(log, {
      initial: () => 0,
      apply: () => ++applied,
      sessions: { requests: 1 },
    })
    const session = await machine.openSession()
    await session.execute('a')
    await session.execute('b')
    const failure = await failureOf(session.execute('a', 1))
    assert.equal(applied, 2)
    throw failure
  },
  async UNSUPPORTED_VERSION() {
    await closedLog('/newer')
    overwrite('/newer/meta', (bytes) => {
      bytes[4] = 2
      new DataView(bytes.buffer).setUint32(60, crc32(bytes.subarray(0, 60)), true)
    })
    await open('/newer')
  },
}

describe('docs/errors.md', () => {
  it('has a section for each code, and none for another', () => {
    assert.deepEqual([...sections.keys()], [...ERROR_CODES])
  })

  it('says of each when, what was kept, what to do, and the details', () => {
    for (const [code, text] of sections) {
      const labels = [...text.matchAll(/^- \*\*(\w+):\*\* \S/gm)].map(([, label]) => label)
      assert.deepEqual(labels, LABELS, code)
    }
  })

  for (const code of ERROR_CODES) {
    it(`is right about ${code}`, async () => {
      const error = await failureOf(PROVOKE[code]())
      assert.equal(error.code, code, error.message)
      assert.deepEqual(Object.keys(error.details).sort(), detailsOf(code).sort())
    })
  }
})

describe('the README', () => {
  it('has a row for each code, and none for another', () => {
    const codes = tableBehind(pageAt('README.md'), '## Errors').map(([code]) => code!)
    assert.deepEqual(
      codes,
      ERROR_CODES.map((code) => `\`${code}\``),
    )
  })
})
