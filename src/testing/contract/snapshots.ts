import assert from 'node:assert/strict'
import { MIB } from '../../base/index.ts'
import {
  assertCode,
  type ContractLog,
  type ContractSuite,
  patternBytes,
  someTexts,
} from './suite.ts'

async function bytesOf(log: ContractLog, offset: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of log.snapshots.read(offset)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** States beside the log: stored whole or not at all. */
export function snapshotContract(suite: ContractSuite): void {
  endContract(suite)
  storeContract(suite)
  failureContract(suite)
}

/** A snapshot is of the state before an offset, so there have to be entries up to there. */
function withEntries(
  suite: ContractSuite,
  name: string,
  body: (log: ContractLog, end: number) => Promise<void>,
): void {
  suite.testPart('snapshots', name, async (log) => {
    await log.appendBatch(someTexts(200))
    await log.barrier()
    await body(log, log.highWaterMark)
  })
}

function endContract(suite: ContractSuite): void {
  withEntries(
    suite,
    'there is one of the end, and none of what has not come yet',
    async (log, end) => {
      await log.snapshots.write(end, [Buffer.from('all')])
      await assertCode('INVALID_ARGUMENT', () =>
        log.snapshots.write(end + 1, [Buffer.from('more')]),
      )
      assert.deepEqual(await log.snapshots.list(), [end])
    },
  )
}

function storeContract(suite: ContractSuite): void {
  withEntries(suite, 'there are none at first', async (log) => {
    assert.deepEqual(await log.snapshots.list(), [])
    await assertCode('NOT_FOUND', () => bytesOf(log, 0))
    await log.snapshots.remove(0)
  })

  withEntries(suite, 'what was written is listed by offset and read', async (log) => {
    for (const offset of [30, 4, 200, 0]) {
      await log.snapshots.write(offset, [Buffer.from(`state at ${offset}`)])
    }
    assert.deepEqual(await log.snapshots.list(), [0, 4, 30, 200])
    for (const offset of [0, 4, 30, 200]) {
      assert.equal((await bytesOf(log, offset)).toString(), `state at ${offset}`)
    }
    await assertCode('NOT_FOUND', () => bytesOf(log, 5))
  })

  withEntries(suite, 'one of the same offset is replaced', async (log) => {
    await log.snapshots.write(7, [patternBytes(100_000, 1)])
    await log.snapshots.write(7, [Buffer.from('short')])
    assert.deepEqual(await log.snapshots.list(), [7])
    assert.equal((await bytesOf(log, 7)).toString(), 'short')
  })

  withEntries(suite, 'what is removed is gone', async (log) => {
    await log.snapshots.write(1, [Buffer.from('one')])
    await log.snapshots.write(2, [Buffer.from('two')])
    await log.snapshots.remove(1)
    await log.snapshots.remove(1)
    assert.deepEqual(await log.snapshots.list(), [2])
    await assertCode('NOT_FOUND', () => bytesOf(log, 1))
  })

  withEntries(suite, 'chunks of every size, and none, go round', async (log) => {
    const sets = [
      [],
      [new Uint8Array(0)],
      [patternBytes(3 * MIB + 17, 2)],
      [patternBytes(MIB, 3), new Uint8Array(0), patternBytes(MIB, 4)],
      Array.from({ length: 200 }, (_, i) => patternBytes(i, i)),
    ]
    for (const [offset, chunks] of sets.entries()) await log.snapshots.write(offset, chunks)
    for (const [offset, chunks] of sets.entries()) {
      assert((await bytesOf(log, offset)).equals(Buffer.concat(chunks)), `snapshot ${offset}`)
    }
  })

  withEntries(suite, 'chunks may come from a stream', async (log) => {
    async function* chunks() {
      for (let i = 0; i < 5; i++) {
        await Promise.resolve()
        yield Buffer.from(`part ${i};`)
      }
    }
    await log.snapshots.write(9, chunks())
    assert.equal((await bytesOf(log, 9)).toString(), 'part 0;part 1;part 2;part 3;part 4;')
  })

  withEntries(suite, 'they do not depend on the entries', async (log) => {
    const offset = await log.append('entry')
    await log.snapshots.write(offset, [Buffer.from('state')])
    assert.equal((await log.get(offset))?.data.toString(), 'entry')
    assert.equal((await bytesOf(log, offset)).toString(), 'state')
  })
}

function failureContract(suite: ContractSuite): void {
  withEntries(suite, 'a source that fails leaves what was there', async (log) => {
    await log.snapshots.write(3, [Buffer.from('old')])
    const failure = new Error('the source failed')
    async function* chunks() {
      yield patternBytes(10_000, 5)
      await Promise.resolve()
      throw failure
    }
    for (const offset of [3, 4]) {
      await assert.rejects(log.snapshots.write(offset, chunks()), (error) => error === failure)
    }
    assert.deepEqual(await log.snapshots.list(), [3])
    assert.equal((await bytesOf(log, 3)).toString(), 'old')
  })

  withEntries(suite, 'a snapshot that is being written is not seen', async (log) => {
    let open = (): void => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    async function* chunks() {
      yield Buffer.from('first half, ')
      await gate
      yield Buffer.from('second half')
    }
    const writing = log.snapshots.write(5, chunks())
    assert.deepEqual(await log.snapshots.list(), [])
    await assertCode('NOT_FOUND', () => bytesOf(log, 5))
    open()
    await writing
    assert.equal((await bytesOf(log, 5)).toString(), 'first half, second half')
  })

  withEntries(suite, 'two writers of one offset leave one of them whole', async (log) => {
    const [one, two] = [patternBytes(2 * MIB, 6), patternBytes(3 * MIB, 7)]
    await Promise.all([log.snapshots.write(8, [one]), log.snapshots.write(8, [two])])
    const found = await bytesOf(log, 8)
    assert(found.equals(one) || found.equals(two), 'the snapshot is a mixture')
    assert.deepEqual(await log.snapshots.list(), [8])
  })

  withEntries(suite, 'offsets that cannot be are refused', async (log) => {
    for (const offset of [-1, 0.5, Number.NaN, 2 ** 53]) {
      await assertCode('INVALID_ARGUMENT', () => log.snapshots.write(offset, []))
      await assertCode('INVALID_ARGUMENT', () => bytesOf(log, offset))
      await assertCode('INVALID_ARGUMENT', () => log.snapshots.remove(offset))
    }
    assert.deepEqual(await log.snapshots.list(), [])
  })
}
