import { inspectLog } from '../../log/index.ts'
import type { SetOptions } from '../../machine/index.ts'
import { type Arguments, quoted, UsageError } from '../arguments.ts'
import { type Context, EXIT_DONE, EXIT_FAILED } from '../command.ts'
import { count, counted, seconds, size } from '../format.ts'
import { openInput } from '../input.ts'
import { isKafkaAddress } from '../kafka-address.ts'
import { Progress } from '../progress.ts'
import { syncPolicy } from '../sync-policy.ts'
import { escaped } from './escapes.ts'
import { hasSnapshots, placeOf, type TextMap, withMap } from './map.ts'
import { SetJob } from './set-job.ts'

// The actions that change a map: each is its one writer meanwhile.

const TTL_MS_MAX = 1e12
const TICK_MS = 200

function setOptions(args: Arguments): SetOptions {
  const ttlMs = args.integer('ttl', 1, TTL_MS_MAX)
  return ttlMs === undefined ? {} : { ttlMs }
}

/** Opens the map for writing, and says so if a snapshot that it took by itself has failed. */
function withWriter<T>(
  args: Arguments,
  context: Context,
  use: (map: TextMap) => Promise<T>,
): Promise<T> {
  return withMap(placeOf(args, context), { sync: syncPolicy(args) }, {}, async ({ map }) => {
    const result = await use(map)
    const failure = map.snapshotFailure
    if (failure instanceof Error)
      context.err.line(`note: a snapshot was not taken: ${failure.message}`)
    return result
  })
}

function summary({ done, bytes }: SetJob, elapsedMs: number, offset: number): string {
  if (done === 0) return 'set nothing'
  const rate = done / Math.max(elapsedMs / 1000, 0.001)
  return `set ${counted(done, 'line', 'lines')}, ${size(bytes)}, in ${seconds(elapsedMs)} (${count(rate)}/s), up to offset ${offset}`
}

export async function set(args: Arguments, context: Context): Promise<number> {
  const { out, err } = context
  const options = setOptions(args)
  const acknowledge = args.flag('ack')
  const [key, value] = args.words('words')
  if (key !== undefined && value !== undefined) {
    await withWriter(args, context, (map) => map.set(key, value, options))
    if (acknowledge) out.line(escaped(key))
    return EXIT_DONE
  }
  const input = await openInput('')
  return withWriter(args, context, async (map) => {
    const job = new SetJob(map, context, { acknowledge, set: options })
    const startedAt = performance.now()
    try {
      await job.run(input)
    } finally {
      const elapsedMs = performance.now() - startedAt
      if (!args.flag('quiet')) err.line(summary(job, elapsedMs, map.offset))
    }
    // Whoever was to read the keys has gone: the rest of the input was not set, or nobody knows.
    return acknowledge && out.ended.aborted ? EXIT_FAILED : EXIT_DONE
  })
}

export async function deletion(args: Arguments, context: Context): Promise<number> {
  const { out } = context
  const [key = ''] = args.words('words')
  const deleted = await withWriter(args, context, (map) => map.delete(key))
  if (args.flag('json')) out.line(JSON.stringify({ key, deleted }))
  else if (!args.flag('quiet')) out.line(deleted ? 'deleted' : 'was not there')
  return EXIT_DONE
}

export async function compareAndSet(args: Arguments, context: Context): Promise<number> {
  const { out, err } = context
  const words = [...args.words('words')]
  const [key = '', expected] = args.flag('absent') ? [words[0]] : words
  const next = words.at(-1)!
  const options = setOptions(args)
  const [done, value] = await withWriter(args, context, async (map) => {
    const isDone = await map.compareAndSet(key, expected, next, options)
    return [isDone, map.get(key)] as const
  })
  if (args.flag('json')) out.line(JSON.stringify({ key, done, value: value ?? null }))
  else if (!done && !args.flag('quiet')) {
    err.line(`not set: the key ${value === undefined ? 'is not there' : `holds ${quoted(value)}`}`)
  }
  return done ? EXIT_DONE : EXIT_FAILED
}

/** Opening it for writing would make a map where there is none. */
async function checkThere(place: string): Promise<void> {
  if (!isKafkaAddress(place)) await inspectLog(place)
  else if (!hasSnapshots(place)) {
    throw new UsageError('kv snapshot needs a folder for snapshots: give dir= in the address')
  }
}

export async function snapshot(args: Arguments, context: Context): Promise<number> {
  const { out, err } = context
  const place = placeOf(args, context)
  await checkThere(place.place)
  // Only a folder has a writer, and it is the writer that takes snapshots there.
  const logOptions = isKafkaAddress(place.place) ? ({ mode: 'read' } as const) : {}
  const progress = new Progress(err, 'written')
  const startedAt = performance.now()
  let doing = 'reading the map'
  const timer = setInterval(() => {
    progress.say(() => `${doing}, ${seconds(performance.now() - startedAt)}`)
  }, TICK_MS)
  try {
    const facts = await withMap(place, logOptions, { snapshot: false }, async ({ map }) => {
      doing = `writing ${counted(map.size, 'key', 'keys')}`
      return { offset: await map.snapshot(), keys: map.size, bytes: map.bytes }
    })
    progress.clear()
    const { offset, keys, bytes } = facts
    const text = `snapshot at offset ${offset}: ${counted(keys, 'key', 'keys')}, ${size(bytes)}`
    out.line(args.flag('json') ? JSON.stringify(facts) : text)
    return EXIT_DONE
  } finally {
    clearInterval(timer)
    progress.clear()
  }
}
