import assert from 'node:assert/strict'
import { openLmdb, openSqlite, payloads } from './stores.mjs'
import { Log } from './tidemark.mjs'

const BATCH = 1000
const data = payloads(128, BATCH)

/** A log of `count` entries, a multiple of 1,000. */
export async function filledLog(folder, count) {
  const log = await Log.open(folder, { sync: 'never' })
  for (let i = 0; i < count; i += BATCH) await log.appendBatch(data)
  assert.equal(log.highWaterMark, count)
  return log
}

/** An LMDB database of the same, by number. */
export async function filledLmdb(folder, count) {
  const db = openLmdb(folder)
  for (let i = 0; i < count; i += BATCH) {
    await db.transaction(() => {
      for (let j = 0; j < BATCH; j++) db.put(i + j, data[j])
    })
  }
  assert.equal(db.getCount(), count)
  return db
}

/** A SQLite table of the same. */
export function filledSqlite(folder, count) {
  const { db, insert } = openSqlite(folder, 'OFF')
  const fill = db.transaction(() => {
    for (const entry of data) insert.run(entry)
  })
  for (let i = 0; i < count; i += BATCH) fill()
  return db
}
