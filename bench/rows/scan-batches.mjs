import { LMDB, scanRow } from './scan.mjs'

async function scanBatches(log) {
  let seen = 0
  let sum = 0
  for await (const batch of log.read().batches()) {
    for (const entry of batch) {
      seen++
      sum += entry.data[0]
    }
  }
  return { seen, sum }
}

export const row = scanRow('scan by batches, checksums verified', scanBatches, [
  { against: LMDB, atLeast: 2.5 },
])
