// A work queue on a durable cursor, at least once: jobs are entries, a worker commits each when it is done.
// Kill it with -9 in the middle and start it again: the job that was begun is done again, and none is lost.
//   node build/examples/work-queue.js ./jobs
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { json, Log } from 'tidemark'

interface Job {
  readonly task: string
  /** Stands for the work. */
  readonly ms: number
}

const JOBS: readonly Job[] = [
  { task: 'print the invoice', ms: 5 },
  { task: 'pack the parcel', ms: 5 },
  { task: 'train the model', ms: 2000 },
  { task: 'send the parcel', ms: 5 },
  { task: 'ask for stars', ms: 5 },
]

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'jobs-'))

// What the worker has done is forgotten by itself, one full segment at a time.
const log = await Log.open(folder, { codec: json<Job>(), trim: 'slowest-cursor' })

// All or none: a crash in here leaves no half of the list behind.
if (log.highWaterMark === 0) await log.appendBatch(JOBS)

const worker = await log.cursor('worker')
console.log(`${worker.lag} jobs to do`)

// A worker that waits for more leaves `follow` as it is, and ends when its signal is aborted.
for await (const { offset, data } of worker.read({ follow: false })) {
  console.log(`job ${offset} begins: ${data.task}`)
  await sleep(data.ms)
  // First the work, then the commit. The other way round a crash in between would lose the job. As it is,
  // the job may be done twice, so it has to bear that: the offset is a number to know it by.
  await worker.commit(offset)
  console.log(`job ${offset} is done`)
}
console.log(`${worker.lag} jobs to do`)
await log.close()
