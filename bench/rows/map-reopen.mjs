import assert from 'node:assert/strict'
import { join } from 'node:path'
import { fill, keyOf, mapOptions, textOf } from '../keys.mjs'
import { perSecond } from '../measure.mjs'
import { loadPeer } from '../peers.mjs'
import { DurableMap, Log } from '../tidemark.mjs'
import { OURS } from '../verdict.mjs'

const LMDB = 'lmdb, getRange into a Map'
const SQLITE = 'better-sqlite3, iterate into a Map'

const keys = ({ quick }) => (quick ? 200_000 : 1_000_000)

/** As many as were put in, and the last of them is what it was. */
function check(count, size, last) {
  assert.equal(size, count)
  assert.equal(last, textOf(count - 1))
}

export const row = {
  title: 'reopening a map of a million keys (16 B, values of 100 B)',
  unit: '/s',
  contestants: [
    {
      name: OURS,
      async prepare(folder, context) {
        const count = keys(context)
        const log = await Log.open(folder, { sync: 'never' })
        const map = await DurableMap.open(log, mapOptions)
        await fill(map, count)
        await map.snapshot()
        await map.close()
        await log.close()
        const measure = () =>
          perSecond(count, async () => {
            const log = await Log.open(folder)
            const map = await DurableMap.open(log, mapOptions)
            check(count, map.size, map.get(keyOf(count - 1)))
            await map.close()
            await log.close()
          })
        return { measure }
      },
    },
    {
      name: LMDB,
      async prepare(folder, context) {
        const count = keys(context)
        const { open } = loadPeer('lmdb')
        const options = { path: join(folder, 'map.mdb'), encoding: 'string' }
        const db = open(options)
        for (let i = 0; i < count; i++) db.put(keyOf(i), textOf(i))
        await db.flushed
        await db.close()
        const measure = () =>
          perSecond(count, async () => {
            const db = open(options)
            const map = new Map()
            for (const { key, value } of db.getRange()) map.set(key, value)
            check(count, map.size, map.get(keyOf(count - 1)))
            await db.close()
          })
        return { measure }
      },
    },
    {
      name: SQLITE,
      prepare(folder, context) {
        const count = keys(context)
        const Database = loadPeer('better-sqlite3')
        const path = join(folder, 'map.db')
        const db = new Database(path)
        db.exec('CREATE TABLE map (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID')
        const insert = db.prepare('INSERT INTO map VALUES (?, ?)')
        db.transaction(() => {
          for (let i = 0; i < count; i++) insert.run(keyOf(i), textOf(i))
        })()
        db.close()
        const measure = () =>
          perSecond(count, () => {
            const db = new Database(path)
            const map = new Map()
            for (const [key, value] of db.prepare('SELECT key, value FROM map').raw().iterate()) {
              map.set(key, value)
            }
            check(count, map.size, map.get(keyOf(count - 1)))
            db.close()
          })
        return { measure }
      },
    },
  ],
  bars: [
    { against: LMDB, atLeast: 1 },
    { against: SQLITE, atLeast: 1 },
  ],
}
