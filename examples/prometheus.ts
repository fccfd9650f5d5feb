// Serves what a log counts to Prometheus, in its text format, and writes what an operator must know to
// standard error. Nothing but Node is needed: `node build/examples/prometheus.js <folder> <port>`, and then
// http://127.0.0.1:<port>/metrics.
import { subscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type HistogramCounts, Log, type LogEvents } from 'tidemark'

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'measured-'))
const port = Number(process.argv[3] ?? 0)

subscribe('tidemark:poison', (message) => {
  const { error } = message as LogEvents['tidemark:poison']
  console.error(`${error.message}: ${String(error.cause)}`)
})
subscribe('tidemark:damage', (message) => {
  console.error((message as LogEvents['tidemark:damage']).message)
})

const log = await Log.open(folder, { trim: 'slowest-cursor' })
const cursor = await log.cursor('billing')
await log.appendBatch(['placed', 'paid', 'sent'])
await cursor.commit(0)

type Kind = 'counter' | 'gauge' | 'histogram'

function metric(name: string, kind: Kind, help: string, samples: readonly string[]): string {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, ...samples]
  return `${lines.join('\n')}\n`
}

function single(name: string, kind: Kind, help: string, value: number): string {
  return metric(name, kind, help, [`${name} ${value}`])
}

/** Prometheus wants each range to hold those below it too, and times in seconds: `unit` is 0.001 for ms. */
function histogram(name: string, help: string, from: HistogramCounts, unit: number): string {
  let sum = 0
  const samples = from.counts.map((count, i) => {
    const bound = from.bounds[i]
    sum += count
    return `${name}_bucket{le="${bound === undefined ? '+Inf' : bound * unit}"} ${sum}`
  })
  samples.push(`${name}_sum ${from.sum * unit}`, `${name}_count ${from.count}`)
  return metric(name, 'histogram', help, samples)
}

/** Names of cursors have no character that would have to be escaped here. */
function perCursor(name: string, help: string, values: ReadonlyMap<string, number>): string {
  const samples = [...values].map(([cursor, value]) => `${name}{cursor="${cursor}"} ${value}`)
  return metric(name, 'gauge', help, samples)
}

async function exposition(): Promise<string> {
  const m = log.metrics()
  const cursors = await log.cursors.list()
  const lags = new Map(cursors.flatMap(({ name, lag }) => (lag === undefined ? [] : [[name, lag]])))
  const missed = new Map(cursors.map(({ name, missed }) => [name, missed]))
  return [
    single('tidemark_appends_total', 'counter', 'Appends acknowledged.', m.appends),
    single('tidemark_entries_total', 'counter', 'Offsets appended.', m.entries),
    single('tidemark_bytes_total', 'counter', 'Bytes appended, headers included.', m.bytes),
    single('tidemark_rolls_total', 'counter', 'Segments sealed.', m.rolls),
    single('tidemark_trims_total', 'counter', 'Low-water mark raised.', m.trims),
    single('tidemark_failed_trims_total', 'counter', 'Trims that failed.', m.failedTrims),
    single('tidemark_trimmed_bytes_total', 'counter', 'Bytes of stores removed.', m.trimmedBytes),
    single('tidemark_damage_total', 'counter', 'Damage met.', m.damage),
    single('tidemark_recovered_bytes', 'gauge', 'Bytes the opening recovered.', m.recoveredBytes),
    single('tidemark_torn_bytes', 'gauge', 'Bytes the opening cut off.', m.tornBytes),
    single('tidemark_low_water_mark', 'gauge', 'First offset kept.', log.lowWaterMark),
    single('tidemark_high_water_mark', 'gauge', 'First offset not yet safe.', log.highWaterMark),
    single('tidemark_waiting_bytes', 'gauge', 'Bytes that wait for the disk.', log.waitingBytes),
    single('tidemark_segments', 'gauge', 'Segments there are.', m.segments),
    single('tidemark_store_bytes', 'gauge', 'Bytes in their stores.', m.storeBytes),
    histogram('tidemark_group_appends', 'Appends that shared a write.', m.groupAppends, 1),
    histogram('tidemark_sync_seconds', 'Time of syncs.', m.syncMs, 0.001),
    perCursor('tidemark_cursor_lag', 'Offsets a cursor is behind.', lags),
    perCursor('tidemark_cursor_missed', 'Offsets gone before a cursor came to them.', missed),
  ].join('')
}

const server = createServer((request, response) => {
  if (request.url !== '/metrics') {
    response.writeHead(404).end()
    return
  }
  exposition().then(
    (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text),
    (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
  )
})
server.listen(port, '127.0.0.1')
await once(server, 'listening')
console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`)

await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
server.close()
server.closeAllConnections()
await log.close()
