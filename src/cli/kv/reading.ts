import { setImmediate as turn } from 'node:timers/promises'
import { OFFSET_MAX } from '../../base/index.ts'
import { Log } from '../../log/index.ts'
import type { MapChange, MapOptions, Range } from '../../machine/index.ts'
import type { Arguments } from '../arguments.ts'
import { type Context, EXIT_DONE, EXIT_FAILED } from '../command.ts'
import { columns, count, size } from '../format.ts'
import { escaped } from './escapes.ts'
import { type OpenMap, placeOf, type TextMap, withMap } from './map.ts'

// The actions that only look: they take no lock, and the writer does not notice them.

const CHUNK_CHARACTERS = 64 * 1024
/** Changes that a watcher may be slower than the writer. */
const HISTORY = 100_000
/** Changes that one can look back with --from: as many as a writer lets come together before a snapshot. */
const HISTORY_FROM = 1_000_000

function withReader<T>(
  args: Arguments,
  context: Context,
  options: MapOptions<string, string>,
  use: (opened: OpenMap) => Promise<T>,
): Promise<T> {
  const ofReader = { ...options, snapshot: false } as const
  return withMap(placeOf(args, context), { mode: 'read' }, ofReader, use)
}

export function get(args: Arguments, context: Context): Promise<number> {
  const { out } = context
  return withReader(args, context, {}, async ({ map }) => {
    const [key = ''] = args.words('words')
    const value = map.get(key)
    if (args.flag('json')) out.line(JSON.stringify({ key, value: value ?? null }))
    else if (value !== undefined) out.line(value)
    return value === undefined ? EXIT_FAILED : EXIT_DONE
  })
}

/** What `range` gives, of a map that has no order: all keys are sorted. */
function* sorted(map: TextMap, range: Range<string>): Generator<[string, string]> {
  const { from = '', to, prefix = '', reverse, limit } = range
  const keys: string[] = []
  for (const key of map.keys()) {
    if (key >= from && (to === undefined || key < to) && key.startsWith(prefix)) keys.push(key)
  }
  keys.sort()
  if (reverse) keys.reverse()
  for (const key of keys.slice(0, limit)) {
    const value = map.get(key)
    if (value !== undefined) yield [key, value]
  }
}

export async function list(args: Arguments, context: Context): Promise<number> {
  const { out, interrupted } = context
  const stop = AbortSignal.any([interrupted, out.ended])
  const isJson = args.flag('json')
  const limit = args.integer('limit', 0, OFFSET_MAX)
  const range = {
    from: args.text('from'),
    to: args.text('to'),
    prefix: args.text('prefix'),
    reverse: args.flag('reverse'),
    limit,
  }
  return withReader(args, context, { ordered: true }, async ({ map, isOrdered }) => {
    let lines = ''
    for (const [key, value] of isOrdered ? map.range(range) : sorted(map, range)) {
      lines += isJson
        ? `${JSON.stringify({ key, value })}\n`
        : `${escaped(key)}\t${escaped(value)}\n`
      if (lines.length < CHUNK_CHARACTERS) continue
      out.write(lines)
      lines = ''
      // A turn, in which a reader who has gone is noticed, and Ctrl-C.
      await turn()
      if (!out.hasRoom) await out.room(stop)
      if (stop.aborted) return EXIT_DONE
    }
    out.write(lines)
    return EXIT_DONE
  })
}

function asLine({ key, value }: MapChange<string, string>): string {
  if (value === undefined) return `delete ${escaped(key)}\n`
  return `set ${escaped(key)}\t${escaped(value)}\n`
}

function asJson({ offset, key, value }: MapChange<string, string>): string {
  return `${JSON.stringify({ offset, key, value: value ?? null })}\n`
}

export async function watch(args: Arguments, context: Context): Promise<number> {
  const { out, interrupted } = context
  const signal = AbortSignal.any([interrupted, out.ended])
  const from = args.integer('from', 0, OFFSET_MAX)
  const history = from === undefined ? HISTORY : HISTORY_FROM
  const render = args.flag('json') ? asJson : asLine
  return withReader(args, context, { history }, async ({ map }) => {
    try {
      for await (const change of map.watch({ from, signal })) {
        out.write(render(change))
        if (!out.hasRoom) await out.room(signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
    return EXIT_DONE
  })
}

export function info(args: Arguments, context: Context): Promise<number> {
  const { out } = context
  return withReader(args, context, {}, async ({ map, log, name }) => {
    const { lowWaterMark, highWaterMark } = log
    const { size: keys, bytes, offset } = map
    const snapshots = await log.snapshots.list()
    const place = log instanceof Log ? { folder: name } : { log: name }
    const facts = { ...place, keys, bytes, offset, snapshots, lowWaterMark, highWaterMark }
    const text = columns([
      ['map', name],
      ['keys', count(keys)],
      ['bytes of memory', bytes < 1024 ? count(bytes) : `${count(bytes)} (${size(bytes)})`],
      ['offset', String(offset)],
      ['snapshots', snapshots.join(', ') || 'none'],
      ['low-water mark', String(lowWaterMark)],
      ['high-water mark', String(highWaterMark)],
    ])
    out.write(args.flag('json') ? `${JSON.stringify(facts)}\n` : text)
    return EXIT_DONE
  })
}
