import { LMDB, scanRow } from './scan.mjs'

async function scanForAwait(log) {
  let seen = 0
  let sum = 0
  for await (const entry of log.read()) {
    seen++
    sum += entry.data[0]
  }
  return { seen, sum }
}

export const row = scanRow('scan by for await, checksums verified', scanForAwait, [
  { against: LMDB, atLeast: 2 },
])
