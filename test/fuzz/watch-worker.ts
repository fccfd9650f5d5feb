// The thread behind `Watch` in cases.ts.

import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'

interface WatchData {
  readonly current: Int32Array<SharedArrayBuffer>
  readonly name: string
  readonly seed: number
  readonly limitMs: number
}

const { current, name, seed, limitMs } = workerData as WatchData
let last = 0
let since = performance.now()

setInterval(() => {
  const now = Atomics.load(current, 0)
  if (now !== last) {
    last = now
    since = performance.now()
  } else if (now > 0 && performance.now() - since > limitMs) {
    writeSync(
      2,
      `\nTIDEMARK_SEED=${seed} TIDEMARK_CASE=${now - 1} hangs: no end after ${limitMs} ms, test "${name}"\n`,
    )
    process.kill(process.pid, 'SIGKILL')
  }
}, 250)
