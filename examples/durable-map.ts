// A key-value program: a map that is there again after a crash. Run it several times with one folder:
//   node build/examples/durable-map.js ./stock
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Log } from 'tidemark'
import { DurableMap } from 'tidemark/machine'

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'stock-'))
const log = await Log.open(folder)
// `ordered` is for range, and needs the optional package sorted-btree.
const map = await DurableMap.open<string, number>(log, { ordered: true })
console.log(`opened with ${map.size} keys`)
const opened = map.offset

await map.set('tea:green', 5) // safe when it resolves
await map.setMany([
  ['tea:black', 3],
  ['milk', 8],
])
console.log(`there are ${map.get('tea:green')} of green tea`)

// Only if nobody was faster: the second one comes too late.
const sold = [map.compareAndSet('milk', 8, 7), map.compareAndSet('milk', 8, 7)]
console.log(`sold: ${(await Promise.all(sold)).join(', ')}`)

for (const [key, count] of map.range({ prefix: 'tea:' })) console.log(`${key} = ${count}`)

// Time is that of the log: what is over is gone with the next command behind its end.
await map.set('offer', 1, { ttlMs: 20 })
await sleep(30)
await map.delete('tea:black')
console.log(`the offer is ${map.has('offer') ? 'still there' : 'over'}`)

// Who watches can begin in the past, as far as the map's `history` goes back.
for await (const { key, value } of map.watch({ from: opened })) {
  console.log(`changed: ${key} ${value === undefined ? 'is gone' : `to ${value}`}`)
  if (key === 'tea:black' && value === undefined) break
}

await map.snapshot() // by itself after a million commands or 64 MiB of them
await map.close() // first the map,
await log.close() // then the log
