import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { commitLogContract } from 'tidemark/testing'
import { FAULTS, NO_FAULT } from './faulty-log-child.ts'

// A contract that nothing can break proves nothing: each fault has to be found.

const CHILD = fileURLToPath(new URL('./faulty-log-child.js', import.meta.url))

interface Outcome {
  readonly code: number | null
  /** What failed, by the fault that was planted. */
  readonly failed: ReadonlyMap<string, readonly string[]>
}

/** Runs the contract over logs with these faults, one after the other, in one process. */
async function outcomeOf(faults: readonly string[]): Promise<Outcome> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(process.execPath, ['--test-reporter=tap', CHILD, ...faults], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 120_000,
  })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  const failed = new Map<string, string[]>()
  let names: string[] = []
  // The lines of a suite come before the one that sums it up.
  for (const [line, suite, name] of text.matchAll(
    /^(?:(?:not )?ok \d+ - (.*) keeps the contract of a commit log| {8}not ok \d+ - (.*))$/gm,
  )) {
    if (name !== undefined) {
      names.push(name)
      continue
    }
    assert.equal(line.startsWith('not ok'), names.length > 0, line)
    failed.set(suite!, names)
    names = []
  }
  return { code, failed }
}

describe('the contract of a commit log finds', () => {
  const faults = Object.keys(FAULTS).filter((fault) => fault !== NO_FAULT)
  let outcome: Promise<Outcome>

  before(() => {
    outcome = outcomeOf(faults)
  })

  for (const fault of faults) {
    it(fault, async (t) => {
      const { code, failed } = await outcome
      const names = failed.get(fault)
      t.diagnostic(`${names?.join('; ')}`)
      assert.equal(code, 1)
      assert(names && names.length > 0)
    })
  }

  it(NO_FAULT, async () => {
    const { code, failed } = await outcomeOf([NO_FAULT])
    assert.deepEqual([code, [...failed]], [0, [[NO_FAULT, []]]])
  })
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
