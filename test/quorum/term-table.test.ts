import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Draws } from 'tidemark/testing'
import { TermTable } from '#dist/quorum/core/term-table.js'
import { seededCases } from './seeded-cases.ts'

/** A log by its offsets: which term wrote each of them. */
class PlainTerms {
  low: { term: number; mark: number }
  /** From the low mark on. */
  terms: number[] = []

  constructor(term: number, mark: number) {
    this.low = { term, mark }
  }

  get end(): number {
    return this.low.mark + this.terms.length
  }

  at(mark: number): number {
    return this.terms[mark - this.low.mark - 1] ?? this.low.term
  }

  append(count: number, term: number): void {
    for (let i = 0; i < count; i++) this.terms.push(term)
  }

  cut(mark: number): void {
    this.terms.length = mark - this.low.mark
  }

  trim(mark: number): void {
    const low = { term: this.at(mark), mark }
    this.terms = this.terms.slice(mark - this.low.mark)
    this.low = low
  }

  /** The highest end of a run, by trying all of them from the top. */
  floor(limit: { term: number; mark: number }): { term: number; mark: number } {
    for (let mark = Math.min(limit.mark, this.end - 1); mark > this.low.mark; mark--) {
      const term = this.at(mark)
      if (term !== this.at(mark + 1) && term <= limit.term) return { term, mark }
    }
    return this.low
  }
}

function compare(table: TermTable, plain: PlainTerms): void {
  assert.deepEqual(table.low, plain.low)
  for (let mark = plain.low.mark; mark <= plain.end; mark++) {
    assert.equal(table.at(mark), plain.at(mark), `the term at ${mark}`)
  }
  for (let mark = plain.low.mark; mark <= plain.end; mark++) {
    for (let term = plain.low.term - 1; term <= plain.at(plain.end) + 1; term++) {
      assert.deepEqual(
        table.floor({ term, mark }),
        plain.floor({ term, mark }),
        `${term} at ${mark}`,
      )
    }
  }
}

/** Loses a part that ends at the end of a batch, and says it again. */
function replace(draws: Draws, table: TermTable, plain: PlainTerms): TermTable {
  const from = draws.integer(plain.low.mark, plain.end - 1)
  const to = draws.integer(from + 1, plain.end)
  // Of what is lost, the last term is known, and nothing else: it may have begun anywhere within.
  const holed = new TermTable(plain.low)
  const known = draws.integer(from + 1, to) - 1
  for (let mark = plain.low.mark; mark < plain.end; mark++) {
    if (mark < from || mark >= to) holed.begin(mark, plain.at(mark + 1))
    else if (mark === known) holed.begin(mark, plain.at(to))
  }
  const runs: { term: number; start: number }[] = []
  for (let start = from; start < to; start++) {
    // Batches: also such as only go on with the term before.
    if (start === from || plain.at(start) !== plain.at(start + 1) || draws.chance(0.3)) {
      runs.push({ term: plain.at(start + 1), start })
    }
  }
  holed.replace(from, to, runs)
  // What the log looked like before does not matter to the next operation.
  return draws.chance(0.5) ? holed : table
}

describe('TermTable', () => {
  it('says what a list of all terms says', (t) => {
    seededCases(t, 1500, (draws) => {
      const low = { term: draws.integer(0, 2), mark: draws.integer(0, 5) }
      let table = new TermTable(low)
      const plain = new PlainTerms(low.term, low.mark)
      let term = Math.max(1, low.term)
      for (let step = 0; step < 12; step++) {
        const what = draws.integer(0, 9)
        if (what <= 4) {
          if (draws.chance(0.6)) term += draws.integer(1, 2)
          table.begin(plain.end, term)
          plain.append(draws.integer(1, 4), term)
        } else if (what <= 6) {
          const mark = draws.integer(plain.low.mark, plain.end)
          table.cut(mark)
          plain.cut(mark)
        } else if (what === 7) {
          const mark = draws.integer(plain.low.mark, plain.end)
          table.trim(mark)
          plain.trim(mark)
        } else if (what === 8 && plain.end > plain.low.mark) {
          const next = replace(draws, table, plain)
          compare(next, plain)
          table = next
        } else if (what === 9 && draws.chance(0.2)) {
          const mark = plain.end + draws.integer(0, 3)
          plain.low = { term, mark }
          plain.terms = []
          table.reset({ term, mark })
        }
        compare(table, plain)
      }
    })
  })

  it('keeps one row for a term, where the terms of a log ascend', () => {
    const table = new TermTable({ term: 3, mark: 10 })
    table.begin(10, 3)
    table.begin(12, 5)
    table.begin(14, 5)
    table.begin(20, 6)
    assert.deepEqual(
      [10, 11, 12, 13, 20, 21].map((mark) => table.at(mark)),
      [3, 3, 3, 5, 5, 6],
    )
    assert.throws(() => table.begin(25, 5), { name: 'InvariantError' })
    assert.throws(() => table.begin(20, 7), { name: 'InvariantError' })
  })

  it('keeps the term of the entry before the mark that it is cut or trimmed to', () => {
    const make = () => {
      const table = new TermTable({ term: 0, mark: 0 })
      table.begin(0, 1)
      table.begin(10, 2)
      table.begin(20, 4)
      return table
    }
    for (const [mark, term] of [
      [0, 0],
      [9, 1],
      [10, 1],
      [11, 2],
      [20, 2],
      [21, 4],
    ] as const) {
      const cut = make()
      cut.cut(mark)
      assert.equal(cut.at(mark), term)
      const trimmed = make()
      trimmed.trim(mark)
      assert.deepEqual(trimmed.low, { term, mark })
      assert.equal(trimmed.at(30), 4)
    }
  })

  it('finds the end of the run that began below the low mark', () => {
    const table = new TermTable({ term: 2, mark: 3 })
    table.begin(4, 3)
    assert.deepEqual(table.floor({ term: 2, mark: 4 }), { term: 2, mark: 4 })
    assert.deepEqual(table.floor({ term: 2, mark: 3 }), { term: 2, mark: 3 })
  })

  it('replaces what lies within a hole, at its edges and between terms', () => {
    // 0..10 of term 1, the hole 10..20, of which only the last term is known, and term 5 behind it.
    const table = new TermTable({ term: 0, mark: 0 })
    table.begin(0, 1)
    table.begin(19, 4)
    table.begin(20, 5)
    table.replace(10, 20, [
      { term: 1, start: 10 },
      { term: 2, start: 12 },
      { term: 4, start: 15 },
    ])
    assert.deepEqual(
      [10, 12, 13, 15, 16, 20, 21].map((mark) => table.at(mark)),
      [1, 1, 2, 2, 4, 4, 5],
    )
  })
})
