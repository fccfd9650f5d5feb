import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseTime } from '#dist/cli/time.js'

const NOW = Date.UTC(2026, 5, 15, 12)

describe('a time on the command line', () => {
  it('is ISO 8601, ms since 1970, or an age', () => {
    const times: [string, number][] = [
      ['2026-01-31', Date.UTC(2026, 0, 31)],
      ['2024-02-29T12:30Z', Date.UTC(2024, 1, 29, 12, 30)],
      ['2026-01-31T12:00:00Z', Date.UTC(2026, 0, 31, 12)],
      ['2026-01-31 12:00:00.25z', Date.UTC(2026, 0, 31, 12, 0, 0, 250)],
      ['2026-01-31T12:00:00+02:00', Date.UTC(2026, 0, 31, 10)],
      ['2026-01-31T12:00:00-0130', Date.UTC(2026, 0, 31, 13, 30)],
      ['2026-01-31T12:00', new Date(2026, 0, 31, 12).getTime()],
      ['0', 0],
      ['1767225600000', 1_767_225_600_000],
      ['250ms', NOW - 250],
      ['30s', NOW - 30_000],
      ['10m', NOW - 600_000],
      ['2h', NOW - 7_200_000],
      ['1d', NOW - 86_400_000],
      ['1w', NOW - 604_800_000],
      ['1000000d', 0],
    ]
    for (const [word, time] of times) assert.equal(parseTime(word, 'since', NOW), time, word)
  })

  it('is nothing else', () => {
    const words = ['', 'now', '2026-02-30', '2026-13-01', '2025-02-29', '2026-1-1', '10 m', '-1h']
    words.push(
      '1M',
      '1y',
      '1969-12-31',
      '2026-01-01T25:00',
      '99999999999999999',
      '+1',
      'Jan 1 2026',
    )
    for (const word of words) {
      assert.throws(() => parseTime(word, 'since', NOW), {
        name: 'UsageError',
        message: new RegExp(`^--since must be a time .*, not "${word.replace('+', '\\+')}"$`),
      })
    }
  })
})
