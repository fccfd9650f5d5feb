import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ApacheKafka, kafkaUnavailable } from './apache-kafka.ts'

const EXAMPLE = fileURLToPath(new URL('../../examples/same-program.js', import.meta.url))

const skip = kafkaUnavailable() ?? false
describe('the program that runs on any engine', { skip }, () => {
  it('does on Kafka what it does in a folder', async (t) => {
    const cluster = await ApacheKafka.start({ brokers: 1 })
    t.after(() => cluster.stop())
    const dir = mkdtempSync(join(tmpdir(), 'tidemark-same-program-'))
    t.after(() => rmSync(dir, { recursive: true }))
    const run = async (folder: string, more: NodeJS.ProcessEnv = {}) => {
      const env = { ...process.env, ...more }
      const options = { env, timeout: 30_000 }
      const args = [EXAMPLE, join(dir, folder)]
      return (await promisify(execFile)(process.execPath, args, options)).stdout
    }
    const kafka = { KAFKA_BROKERS: cluster.brokers.join(',') }
    for (let i = 0; i < 2; i++) assert.equal(await run('snapshots', kafka), await run('log'))
    // Without the snapshots of the others it comes to the same, by all that is in the topic.
    assert.match(await run('elsewhere', kafka), /^the ledger is there\n.*\n\{"bank":-10,"ada":4,/)
  })
})
