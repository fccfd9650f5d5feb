import assert from 'node:assert/strict'
import { filledLmdb, filledLog, filledSqlite } from '../filled.mjs'
import { perSecond } from '../measure.mjs'
import { OURS } from '../verdict.mjs'

// Scans of everything, from the page cache. Every contestant touches the first byte of each entry's
// data; Tidemark also checks both checksums of each.

export const LMDB = 'lmdb, getRange'

const entries = ({ quick }) => (quick ? 200_000 : 500_000)

/** A contestant that scans what `fill` made; `scan` returns how many entries it saw, and a sum. */
function scanner(name, fill, scan) {
  return {
    name,
    async prepare(folder, context) {
      const count = entries(context)
      const store = await fill(folder, count)
      const work = async () => {
        const { seen, sum } = await scan(store)
        assert.equal(seen, count)
        assert.ok(sum > 0)
      }
      return { measure: () => perSecond(count, work), close: () => store.close() }
    },
  }
}

/** The row of a way to scan a log. */
export function scanRow(title, scanLog, bars) {
  const contestants = [
    scanner(OURS, filledLog, scanLog),
    scanner(LMDB, filledLmdb, (db) => {
      let seen = 0
      let sum = 0
      for (const { value } of db.getRange()) {
        seen++
        sum += value[0]
      }
      return { seen, sum }
    }),
    scanner('better-sqlite3, iterate', filledSqlite, (db) => {
      let seen = 0
      let sum = 0
      for (const { data } of db.prepare('SELECT data FROM log ORDER BY id').iterate()) {
        seen++
        sum += data[0]
      }
      return { seen, sum }
    }),
  ]
  return { title, unit: '/s', contestants, bars }
}
