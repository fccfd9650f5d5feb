import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { commitLogContract } from 'tidemark/testing'
import { FAULTS } from './faulty-log-child.ts'

// A contract that nothing can break proves nothing: each fault has to be found.

const CHILD = fileURLToPath(new URL('./faulty-log-child.js', import.meta.url))

/** Runs the contract over a log with this fault; resolves with the exit code and what failed. */
async function outcomeOf(fault: string): Promise<{ code: number | null; failed: string[] }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(process.execPath, ['--test-reporter=tap', CHILD, fault], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 30_000,
  })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  const failed = [...text.matchAll(/^ {8}not ok \d+ - (.*)$/gm)].map(([, name]) => name!)
  return { code, failed }
}

describe('the contract of a commit log finds', { concurrency: 2 }, () => {
  for (const fault of Object.keys(FAULTS)) {
    it(fault, async (t) => {
      const { code, failed } = await outcomeOf(fault)
      if (fault === 'no fault at all') {
        assert.deepEqual([code, failed], [0, []])
        return
      }
      t.diagnostic(failed.join('; '))
      assert.equal(code, 1)
      assert(failed.length > 0)
    })
  }
})

describe('a part of the contract', () => {
  it('is not skipped without a reason', () => {
    const open = () => Promise.reject(new Error('never opened'))
    for (const reason of ['', undefined as unknown as string]) {
      const skip = { trim: reason, reopen: 'the log lives in memory' }
      assert.throws(() => commitLogContract({ name: 'x', open, maxEntryBytes: 2 ** 20, skip }), {
        code: 'INVALID_ARGUMENT',
      })
    }
  })
})
