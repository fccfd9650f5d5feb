// Sets so many keys of a map, and says by how much the process has grown, and how long it took.
import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { fill, keyOf, mapOptions, textOf } from '../keys.mjs'
import { DurableMap, Log } from '../tidemark.mjs'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

/** Bytes of the heap and of buffers that are alive. */
function inUse() {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const smallValue = (i) => String(i % 1e8).padStart(8, '0')

async function fillDurable(folder, count, value) {
  const log = await Log.open(folder, { sync: 'never', segmentBytes: 2 ** 28 })
  const map = await DurableMap.open(log, mapOptions)
  await fill(map, count, { value })
  return { map, log }
}

/** Opened again, it has as many keys, and a sample of them is right. */
async function checkReopened({ map, log }, folder, count, value) {
  await map.close()
  await log.close()
  const again = await Log.open(folder)
  const reopened = await DurableMap.open(again, mapOptions)
  assert.equal(reopened.size, count)
  for (let i = 0; i < count; i += 9973) assert.equal(reopened.get(keyOf(i)), value(i))
  await reopened.close()
  await again.close()
}

process.once('disconnect', () => process.exit())
process.once('message', async ({ folder, count, kind, small }) => {
  const value = small ? smallValue : textOf
  collect()
  const before = inUse()
  const begun = performance.now()
  let filled
  if (kind === 'durable') filled = await fillDurable(folder, count, value)
  else {
    filled = new Map()
    for (let i = 0; i < count; i++) filled.set(keyOf(i), value(i))
  }
  const seconds = (performance.now() - begun) / 1000
  collect()
  const bytes = inUse() - before
  if (kind === 'durable') await checkReopened(filled, folder, count, value)
  else assert.equal(filled.size, count)
  process.send({ bytes, seconds }, () => process.disconnect())
})
