import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { loadPeer } from './peers.mjs'

/** What is appended: a few different entries of one size, so that nothing is gained by knowing them. */
export function payloads(bytes = 128, count = 64) {
  return Array.from({ length: count }, () => randomBytes(bytes))
}

/** A SQLite database with one table, in WAL mode, which is its fastest durable one. */
export function openSqlite(folder, synchronous) {
  const Database = loadPeer('better-sqlite3')
  const db = new Database(join(folder, 'log.db'))
  db.pragma('journal_mode = WAL')
  db.pragma(`synchronous = ${synchronous}`)
  assert.equal(db.pragma('journal_mode', { simple: true }), 'wal')
  assert.equal(db.pragma('synchronous', { simple: true }), { OFF: 0, FULL: 2 }[synchronous])
  db.exec('CREATE TABLE log (id INTEGER PRIMARY KEY, data BLOB NOT NULL)')
  return { db, insert: db.prepare('INSERT INTO log (data) VALUES (?)') }
}

/** An LMDB database of bytes by number, the fastest keys and values that it has. */
export function openLmdb(folder) {
  const { open } = loadPeer('lmdb')
  return open({ path: join(folder, 'log.mdb'), encoding: 'binary', keyEncoding: 'uint32' })
}

/** A LevelDB database of bytes by text. */
export async function openLevel(folder) {
  const { ClassicLevel } = loadPeer('classic-level')
  const db = new ClassicLevel(join(folder, 'level'), { valueEncoding: 'buffer' })
  await db.open()
  return db
}
