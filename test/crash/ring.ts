// The ring: random workloads, and for each the images that a crash could have left, each checked.
import { checkImage } from './check.ts'
import type { Library } from './library.ts'
import { type Sample, Workload } from './workload.ts'

export interface RingOptions {
  readonly seed: number
  /** Stop when so many distinct images have been checked... */
  readonly states: number
  /** ...or when so much time has passed. */
  readonly seconds: number
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
  const stopAt = performance.now() + options.seconds * 1000
  for (let seed = options.seed; ; seed++) {
    await runWorkload(library, seed, seen, result)
    result.workloads++
    options.onProgress?.(result)
    if (result.faults.length > 0 && options.stopAtFault) return result
    if (result.distinct >= options.states || performance.now() > stopAt) return result
  }
}

async function runWorkload(
  library: Library,
  seed: number,
  seen: Set<number>,
  result: RingResult,
): Promise<void> {
  const random = library.seededRandom(seed)
  const workload = new Workload(library, random, 3)
  try {
    await workload.run(8 + (random.uint32() % 25))
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
