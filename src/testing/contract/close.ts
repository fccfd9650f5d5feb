import assert from 'node:assert/strict'
import { appendEach, assertCode, type ContractSuite, someTexts } from './suite.ts'

/** The end of a log's life in this process. */
export function closeContract(suite: ContractSuite): void {
  suite.test('a closed log takes nothing more', async (log) => {
    await appendEach(log, someTexts(2))
    await log.close()
    await assertCode('CLOSED', () => log.append('late'))
    await assertCode('CLOSED', () => log.appendBatch(['late', 'later']))
  })

  suite.test('a closed log is not read any more', async (log) => {
    const [offset] = await appendEach(log, someTexts(2))
    await log.close()
    await assertCode('CLOSED', () => log.get(offset!))
    await assertCode('CLOSED', async () => log.read().next())
    await assertCode('CLOSED', () => log.barrier())
  })

  suite.testPart('trim', 'a closed log is not trimmed', async (log) => {
    const [offset] = await appendEach(log, someTexts(2))
    await log.close()
    await assertCode('CLOSED', () => log.trim(offset! + 1))
  })

  suite.testPart('snapshots', 'a closed log takes no snapshots', async (log) => {
    await log.close()
    await assertCode('CLOSED', () => log.snapshots.write(0, [Buffer.from('late')]))
    await assertCode('CLOSED', () => log.snapshots.remove(0))
    await assertCode('CLOSED', () => log.snapshots.list())
  })

  suite.test('closing twice, and at once, is closing', async (log) => {
    await appendEach(log, someTexts(2))
    await Promise.all([log.close(), log.close()])
    await log.close()
  })

  suite.test('close waits for what was appended before it', async (log) => {
    const appends = someTexts(50).map((text) => log.append(text))
    await log.close()
    const offsets = await Promise.all(appends)
    assert.equal(new Set(offsets).size, 50)
  })

  suite.test('it can be disposed of', async (log) => {
    await log.append('x')
    await log[Symbol.asyncDispose]()
    await assertCode('CLOSED', () => log.append('late'))
    await log[Symbol.asyncDispose]()
  })
}
