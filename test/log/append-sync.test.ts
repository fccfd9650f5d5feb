import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type FileOpKind, type ForgetfulFiles, seededRandom } from 'tidemark/testing'
import {
  assertCode,
  failOn,
  Gate,
  gateOn,
  isPending,
  newFiles,
  openOn,
  settle,
  someTexts,
  textsOf,
  using,
  worstCrash,
} from './fixtures.ts'

// `appendSync` takes over whatever is under way in the thread pool, by doing it again. These tests
// hold each kind of operation back, call it, look at what a crash would leave, and only then let the
// operation that was overtaken take effect, late.

const LARGE = 'x'.repeat(1200 * 1024)

async function assertSafe(files: ForgetfulFiles, texts: readonly string[]): Promise<void> {
  await using(worstCrash(files), {}, async (log) => {
    assert.deepEqual(await textsOf(log), texts)
  })
}

describe('appendSync', () => {
  it('returns the offset, with the entry on the disk and visible', async () => {
    const files = newFiles()
    await using(files, {}, async (log) => {
      assert.equal(log.appendSync('a'), 0)
      assert.equal(log.highWaterMark, 1)
      assert.equal(log.appendSync(Buffer.from('b')), 1)
      await assertSafe(files, ['a', 'b'])
      assert.deepEqual(await textsOf(log), ['a', 'b'])
    })
  })

  it('takes with it what waits, in order', async () => {
    const files = newFiles()
    await using(files, {}, async (log) => {
      const waiting = [log.append('a'), log.appendBatch(['b', 'c']), log.append('d')]
      assert.equal(log.appendSync('e'), 4)
      await assertSafe(files, ['a', 'b', 'c', 'd', 'e'])
      assert.deepEqual(await Promise.all(waiting), [0, { first: 1, last: 2 }, 3])
      assert.equal(await log.append('f'), 5)
    })
  })

  it('rolls when it has to', async () => {
    const files = newFiles()
    await using(files, { segmentBytes: 512 }, async (log) => {
      const texts = someTexts(50)
      for (const text of texts) log.appendSync(text)
      await assertSafe(files, texts)
    })
  })

  it('refuses a closed log', async () => {
    const log = await openOn(newFiles())
    await log.close()
    await assertCode('CLOSED', () => log.appendSync('late'))
  })
})

/** Other logs of the process write into the buffers that are free, at the same time. */
async function useEveryBuffer(): Promise<void> {
  const logs = await Promise.all(Array.from({ length: 8 }, () => openOn(newFiles())))
  await Promise.all(logs.map((log) => log.append('!'.repeat(200_000))))
  await Promise.all(logs.map((log) => log.close()))
}

interface Overtaking {
  readonly what: string
  readonly kind: FileOpKind
  readonly part: string
  readonly segmentBytes: number
  readonly texts: readonly string[]
}

const OVERTAKINGS: readonly Overtaking[] = [
  { what: 'a large write', kind: 'write', part: '.store', segmentBytes: 2 ** 20, texts: [LARGE] },
  { what: 'a sync', kind: 'datasync', part: '.store', segmentBytes: 2 ** 20, texts: ['small'] },
  {
    what: 'the sync behind a large write',
    kind: 'datasync',
    part: '.store',
    segmentBytes: 2 ** 20,
    texts: [LARGE, 'small'],
  },
  {
    what: 'the sync of a segment that is sealed',
    kind: 'datasync',
    part: '.store',
    segmentBytes: 512,
    texts: someTexts(20),
  },
  {
    what: 'the writing of a new segment',
    kind: 'write',
    part: '.store.tmp',
    segmentBytes: 512,
    texts: someTexts(20),
  },
  {
    what: 'the sync of a new segment',
    kind: 'datasync',
    part: '.store.tmp',
    segmentBytes: 512,
    texts: someTexts(20),
  },
  {
    what: 'the directory sync of a new segment',
    kind: 'syncDirectory',
    part: '/log',
    segmentBytes: 512,
    texts: someTexts(20),
  },
  {
    what: 'the writing of an index file',
    kind: 'write',
    part: '.index',
    segmentBytes: 512,
    texts: someTexts(20),
  },
]

describe('appendSync overtakes', () => {
  for (const { what, kind, part, segmentBytes, texts } of OVERTAKINGS) {
    it(what, async () => {
      const files = newFiles()
      const log = await openOn(files, { segmentBytes })
      await log.append('first')
      const gate = gateOn(files, kind, part)
      const appends = texts.map((text) => log.append(text))
      await gate.reached()
      const offset = log.appendSync('urgent')
      assert.equal(offset, texts.length + 1)
      const before = ['first', ...texts, 'urgent']
      await assertSafe(files, before)
      const later = [log.append('later'), log.appendBatch(['still', 'later'])]
      assert.equal(log.appendSync('again'), offset + 4)
      const all = [...before, 'later', 'still', 'later', 'again']
      await assertSafe(files, all)
      await useEveryBuffer()
      gate.open()
      assert.deepEqual(
        await Promise.all(appends),
        texts.map((_, i) => i + 1),
      )
      await Promise.all(later)
      assert.equal(await log.append('last'), offset + 5)
      assert.deepEqual(await textsOf(log), [...all, 'last'])
      await log.close()
      await using(files, {}, async (again) => {
        assert.deepEqual(await textsOf(again), [...all, 'last'])
      })
    })
  }

  it('the removal of the mark of a clean end', async () => {
    const files = newFiles()
    await using(files, {}, (log) => log.append('first'))
    const log = await openOn(files)
    const gate = gateOn(files, 'write', 'meta')
    const append = log.append('a')
    await gate.reached()
    assert.equal(log.appendSync('b'), 2)
    await assertSafe(files, ['first', 'a', 'b'])
    gate.open()
    assert.equal(await append, 1)
    await log.close()
    await using(files, {}, async (again) => {
      assert.deepEqual(await textsOf(again), ['first', 'a', 'b'])
    })
  })

  it('a trim', async () => {
    const files = newFiles()
    const log = await openOn(files, { segmentBytes: 512 })
    for (const text of someTexts(30)) await log.append(text)
    for (const kind of ['write', 'datasync'] as const) {
      const gate = gateOn(files, kind, 'meta')
      const before = log.lowWaterMark + 10
      const trim = log.trim(before)
      await gate.reached()
      log.appendSync('urgent')
      assert.equal(log.lowWaterMark, before)
      gate.open()
      await trim
    }
    assert.deepEqual(await textsOf(log), [...someTexts(10, 20), 'urgent', 'urgent'])
    await log.close()
    await using(files, {}, async (again) => {
      assert.equal(again.lowWaterMark, 20)
      assert.equal(again.highWaterMark, 32)
    })
  })
})

describe('what appendSync has overtaken and fails late', () => {
  it('does no harm if it was a write', async () => {
    const files = newFiles()
    const log = await openOn(files)
    const gate = gateOn(files, 'write', '.store')
    const append = log.append(LARGE)
    await gate.reached()
    log.appendSync('urgent')
    failOn(files, 'write', '.store', 'EIO', 1)
    gate.open()
    assert.equal(await append, 0)
    await settle()
    files.fault = undefined
    assert.equal(await log.append('more'), 2)
    assert.deepEqual(await textsOf(log), [LARGE, 'urgent', 'more'])
    await log.close()
  })

  it('poisons if it was a sync', async () => {
    const files = newFiles()
    const log = await openOn(files)
    const gate = gateOn(files, 'datasync', '.store')
    const append = log.append('a')
    await gate.reached()
    log.appendSync('urgent')
    failOn(files, 'datasync', '.store', 'EIO', 1)
    gate.open()
    assert.equal(await append, 0)
    await settle()
    await assertCode('POISONED', log.append('more'))
    await log.close()
  })

  it('poisons if it was a write that has to be undone: it could land behind the cut', async () => {
    const files = newFiles()
    const log = await openOn(files)
    await log.append('first')
    const gate = gateOn(files, 'write', '.store')
    const append = log.append(LARGE)
    // Not IO: what could land late may be found by the next opening.
    const rejected = assertCode('POISONED', append)
    await gate.reached()
    failOn(files, 'write', '.store', 'ENOSPC', 1)
    await assertCode('POISONED', () => log.appendSync('urgent'))
    await rejected
    gate.open()
    await settle()
    await assertCode('POISONED', log.append('more'))
    assert.deepEqual(await textsOf(log), ['first'])
    await log.close()
    await using(files, {}, async (again) => {
      assert.equal((await textsOf(again))[0], 'first')
    })
  })
})

describe('appendSync among appends', () => {
  it('keeps order and safety in any interleaving', async () => {
    for (let seed = 1; seed <= 80; seed++) {
      const random = seededRandom(seed)
      const below = (n: number) => random.uint32() % n
      const files = newFiles()
      const delay = async () => {
        for (let i = below(4); i > 0; i--) await new Promise((resolve) => setImmediate(resolve))
      }
      files.syncDelay = delay
      files.writeDelay = delay
      const log = await openOn(files, { segmentBytes: [512, 3000, 2 ** 20][below(3)]! })
      const expected: string[] = []
      const appends: Promise<unknown>[] = []
      for (let step = 0; step < 30; step++) {
        const text = below(12) === 0 ? `${step}${LARGE}` : `${step} of ${seed}`
        const kind = below(4)
        if (kind === 0) {
          const offset = log.appendSync(text)
          assert.equal(offset, expected.length, `seed ${seed}, step ${step}`)
          assert.equal(log.highWaterMark, offset + 1)
        } else if (kind === 1) {
          appends.push(log.appendBatch([text, 'and']))
          expected.push(text)
        } else {
          appends.push(log.append(text))
        }
        expected.push(kind === 1 ? 'and' : text)
        if (below(3) === 0) await settle(below(4))
      }
      await Promise.all(appends)
      assert.deepEqual(await textsOf(log), expected, `seed ${seed}`)
      await assertSafe(files, expected)
      await log.close()
    }
  })

  it('does not let a blocked append resolve before it is safe', async () => {
    const files = newFiles()
    const log = await openOn(files)
    const gate = new Gate((op) => op.kind === 'datasync')
    files.syncDelay = gate.delay
    const first = log.append('a')
    await gate.reached()
    log.appendSync('b')
    const second = log.append('c')
    assert(!(await isPending(first)))
    assert(await isPending(second), 'its own sync has not ended')
    gate.open()
    assert.equal(await second, 2)
    await log.close()
  })
})
