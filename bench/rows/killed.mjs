import assert from 'node:assert/strict'
import { closeSync, cpSync, fsyncSync, openSync, readdirSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runChild } from '../child.mjs'
import { OURS } from '../verdict.mjs'

const READ = 'reading the segment'

function storeOf(folder) {
  const stores = readdirSync(folder).filter((name) => name.endsWith('.store'))
  assert.equal(stores.length, 1)
  return join(folder, stores[0])
}

function sync(path) {
  const fd = openSync(path, 'r+')
  fsyncSync(fd)
  closeSync(fd)
}

function millisecondsToRead(path) {
  const chunk = Buffer.allocUnsafe(2 ** 20)
  const begun = performance.now()
  const fd = openSync(path, 'r')
  while (readSync(fd, chunk) > 0);
  closeSync(fd)
  return performance.now() - begun
}

/** A log whose process was killed when the segment was full. */
async function killedLog(folder, policy) {
  const { count } = await runChild('fill.mjs', { folder, sync: policy }, { kill: true })
  sync(storeOf(folder))
  return count
}

/**
 * The row of opening a log after `kill -9`. Each run opens a fresh copy, in a process of its own, so
 * that nothing of the library has been run or optimised before.
 */
export function killedRow(title, policy) {
  const contestants = [
    {
      name: OURS,
      async prepare(folder) {
        const original = join(folder, 'original')
        const count = await killedLog(original, policy)
        return {
          async measure() {
            const copy = join(folder, 'copy')
            cpSync(original, copy, { recursive: true })
            sync(storeOf(copy))
            const opened = await runChild('open.mjs', { folder: copy })
            assert.equal(opened.highWaterMark, count)
            rmSync(copy, { recursive: true })
            return opened.milliseconds
          },
        }
      },
    },
    {
      name: READ,
      async prepare(folder) {
        await killedLog(folder, policy)
        return { measure: async () => millisecondsToRead(storeOf(folder)) }
      },
    },
  ]
  return { title, unit: 'ms', contestants, bars: [{ atMost: 100 }] }
}
