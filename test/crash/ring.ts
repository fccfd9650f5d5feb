// The ring: random workloads, and for each the images that a crash could have left, each checked.
import { setImmediate } from 'node:timers/promises'
import { checkImage } from './check.ts'
import type { Library } from './library.ts'
import { type Sample, Workload } from './workload.ts'

export interface RingOptions {
  readonly seed: number
  /** Stop when so many distinct images have been checked... */
  readonly states: number
  /** ...or when so much time has passed. */
  readonly seconds: number
  /** Random images before each operation: more of them, or more runs in the same time. */
  readonly imagesPerOperation?: number
  /** Stop at the first fault. */
  readonly stopAtFault?: boolean
  readonly onProgress?: (result: RingResult) => void
}

export interface Fault {
  readonly seed: number
  readonly kind: string
  readonly operation: string
  readonly message: string
}

export interface RingResult {
  distinct: number
  checked: number
  workloads: number
  faults: Fault[]
  /** How often each kind of loss was among the distinct images. */
  kinds: Map<string, number>
  events: Map<string, number>
}

/** Runs workloads with the seeds `seed`, `seed + 1`, ... */
export async function runRing(library: Library, options: RingOptions): Promise<RingResult> {
  const result: RingResult = {
    distinct: 0,
    checked: 0,
    workloads: 0,
    faults: [],
    kinds: new Map(),
    events: new Map(),
  }
  const seen = new Set<number>()
  // A broken invariant escapes from the sequence of jobs: it is a fault of the run it happens in.
  let running = options.seed
  const onEscape = (error: unknown) => {
    result.faults.push({ seed: running, kind: 'a bug', operation: '', message: String(error) })
  }
  process.on('unhandledRejection', onEscape)
  try {
    const stopAt = performance.now() + options.seconds * 1000
    for (let seed = options.seed; ; seed++) {
      running = seed
      await runWorkload(library, seed, options.imagesPerOperation ?? 3, seen, result)
      result.workloads++
      options.onProgress?.(result)
      if (result.faults.length > 0 && options.stopAtFault) return result
      if (result.distinct >= options.states || performance.now() > stopAt) return result
    }
  } finally {
    // The process tells of a rejection only after the turn in which it happened.
    await setImmediate()
    process.off('unhandledRejection', onEscape)
  }
}

async function runWorkload(
  library: Library,
  seed: number,
  imagesPerOperation: number,
  seen: Set<number>,
  result: RingResult,
): Promise<void> {
  const random = library.seededRandom(seed)
  const workload = new Workload(library, random, imagesPerOperation)
  try {
    await withinTime(workload.run(8 + (random.uint32() % 25)))
  } catch (error) {
    result.faults.push({ seed, kind: 'in the workload', operation: '', message: String(error) })
  }
  for (const [event, count] of workload.events) {
    result.events.set(event, (result.events.get(event) ?? 0) + count)
  }
  const here = new Map<number, Sample['expected']>()
  for (const [i, sample] of workload.samples.entries()) {
    const { image, expected } = sample
    // The same image under the same expectation need not be checked twice.
    if (image.fingerprint >= 0 && here.get(image.fingerprint) === expected) continue
    here.set(image.fingerprint, expected)
    if (image.fingerprint >= 0 && !seen.has(image.fingerprint)) {
      seen.add(image.fingerprint)
      result.distinct++
    }
    result.kinds.set(image.kind, (result.kinds.get(image.kind) ?? 0) + 1)
    await checkSample(library, workload, sample, seed, i, result)
  }
}

/** A run that a bug has left waiting for ever is a fault too. */
async function withinTime(run: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it did not end in 10 s')), 10_000)
  })
  await Promise.race([run, late]).finally(() => clearTimeout(timer))
}

async function checkSample(
  library: Library,
  workload: Workload,
  sample: Sample,
  seed: number,
  i: number,
  result: RingResult,
): Promise<void> {
  const { image, expected, promised, operation } = sample
  const random = library.seededRandom(seed * 100_003 + i)
  try {
    const deep = random.uint32() % 8 === 0
    const { settings } = workload
    result.checked += 1
    result.checked += await checkImage(
      library,
      image.files,
      settings,
      expected,
      promised,
      random,
      deep,
    )
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    result.faults.push({ seed, kind: image.kind, operation, message })
  }
}
