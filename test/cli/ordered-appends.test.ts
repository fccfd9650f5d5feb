import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { OrderedAppends } from '#dist/cli/ordered-appends.js'

interface Batch {
  readonly lines: string[]
  resolve(first: number): void
  reject(error: unknown): void
}

/** A log whose answers the test gives. */
function log(maxEntryBytes = 1000) {
  const batches: Batch[] = []
  const appendBatch = (data: readonly Buffer[]) =>
    new Promise((resolve, reject) => {
      const done = (first: number) => resolve({ first, last: first + data.length - 1 })
      batches.push({ lines: data.map(String), resolve: done, reject })
    })
  const appends = new OrderedAppends({ maxEntryBytes, appendBatch } as never)
  return { appends, batches }
}

const bytes = (text: string) => Buffer.from(text)

describe('appends to Kafka from the command line', () => {
  it('gather while a batch is under way', async () => {
    const { appends, batches } = log()
    const one = appends.append(bytes('a'))
    const two = appends.appendBatch([bytes('b'), bytes('c')])
    await turn()
    const three = appends.append(bytes('d'))
    await turn()
    assert.deepEqual(batches[0]!.lines, ['a', 'b', 'c'])
    assert.equal(batches.length, 1)
    batches[0]!.resolve(10)
    assert.equal(await one, 10)
    assert.deepEqual(await two, { first: 11, last: 12 })
    await turn()
    assert.deepEqual(batches[1]!.lines, ['d'])
    batches[1]!.resolve(20)
    assert.equal(await three, 20)
  })

  it('fill batches up to what the topic takes, and leave what is one whole', async () => {
    const { appends, batches } = log(100)
    const calls = ['a', 'b', 'c'].map((text) => appends.append(bytes(text)))
    const large = appends.appendBatch(['d', 'e', 'f', 'g'].map(bytes))
    for (const [i, lines] of [['a', 'b'], ['c'], ['d', 'e', 'f', 'g']].entries()) {
      await turn()
      assert.deepEqual(batches[i]!.lines, lines)
      batches[i]!.resolve(10 * i)
    }
    assert.deepEqual(await Promise.all(calls), [0, 1, 10])
    assert.deepEqual(await large, { first: 20, last: 23 })
  })

  it('send nothing behind what has failed', async () => {
    const { appends, batches } = log()
    const failed = appends.append(bytes('a'))
    await turn()
    const waiting = appends.append(bytes('b'))
    const error = new Error('away')
    batches[0]!.reject(error)
    await assert.rejects(failed, error)
    await assert.rejects(waiting, error)
    await assert.rejects(appends.append(bytes('c')), error)
    await turn()
    assert.equal(batches.length, 1)
  })
})
