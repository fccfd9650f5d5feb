import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { described } from '../kill/kafka/main.ts'
import { kafkaRing } from '../kill/kafka/ring.ts'
import { kafkaUnavailable } from './apache-kafka.ts'

/** `npm run kill -- --kafka` has more of it. */
const MS = 25_000

describe('brokers of Apache Kafka that are killed', { skip: kafkaUnavailable() ?? false }, () => {
  it('lose nothing that was acknowledged, and nothing is there twice', async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 32)
    t.diagnostic(`seed ${seed}`)
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-kafka-ring-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const result = await kafkaRing({ folder, seed, ms: MS })
    for (const line of described(result).split('\n')) t.diagnostic(line)
    assert.deepEqual(result.faults, [])
    assert.ok(result.acknowledged > 0)
    assert.ok(result.kills > 0)
  })
})
