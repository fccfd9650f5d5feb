import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as settled } from 'node:timers/promises'
import type { SegmentCheck } from 'tidemark'
import { ManualClock } from 'tidemark/testing'
import type { HostedLog } from '#dist/quorum/hosted-log.js'
import { Scrubber } from '#dist/quorum/scrubber.js'

const KIB = 1024
const MIB = 1024 * KIB

/** A log of sound segments with so many bytes each, which notes when each was read. */
function logOf(name: string, segments: readonly number[], clock: ManualClock, read: string[]) {
  const checkSegment = async (
    from: number,
    pace: (bytes: number) => Promise<void> | void,
  ): Promise<SegmentCheck | undefined> => {
    const bytes = segments[from]
    if (bytes === undefined) return undefined
    read.push(`${clock.monotonic() / 1000} ${name} ${from}`)
    await pace(bytes)
    return { file: 'x.store', end: from + 1, entries: 1, bytes, damaged: [] }
  }
  return { name, live: { replica: { checkSegment } } } as unknown as HostedLog
}

async function passing(clock: ManualClock, seconds: number): Promise<void> {
  for (let i = 0; i < seconds * 4; i++) {
    await clock.advance(250)
    await settled()
  }
}

describe('the scrubber', () => {
  it('reads no faster than it may, and pass after pass, ten minutes apart', async () => {
    const clock = new ManualClock()
    const read: string[] = []
    const logs = [logOf('a', [4 * MIB, MIB], clock, read), logOf('b', [KIB], clock, read)]
    const begun = clock.monotonic() / 1000
    const tell = () => assert.fail('nothing fails')
    const scrubber = new Scrubber({ logs: () => logs, clock, bytesPerSecond: MIB, tell })
    scrubber.start()
    await passing(clock, 59)
    assert.equal(read.length, 0)
    await passing(clock, 700)
    const times = read.map((line) => {
      const [at, ...what] = line.split(' ')
      return `${Math.round(Number(at) - begun)} ${what.join(' ')}`
    })
    assert.deepEqual(times, ['60 a 0', '64 a 1', '65 b 0', '660 a 0', '664 a 1', '665 b 0'])
    await scrubber.close()
    await passing(clock, 700)
    assert.equal(read.length, 6)
  })

  it('reads nothing in the background at a rate of 0, and all of it when it is asked', async () => {
    const clock = new ManualClock()
    const read: string[] = []
    const logs = [logOf('a', [MIB, MIB], clock, read), logOf('b', [MIB], clock, read)]
    const tell = () => assert.fail('nothing fails')
    const scrubber = new Scrubber({ logs: () => logs, clock, bytesPerSecond: 0, tell })
    scrubber.start()
    await passing(clock, 700)
    assert.equal(read.length, 0)
    const { durationMs, ...report } = await scrubber.scrub()
    assert.deepEqual(report, { logs: 2, entries: 3, bytes: 3 * MIB, damaged: [] })
    assert.equal(durationMs, 0)
    assert.equal((await scrubber.scrub({ log: 'b' })).logs, 1)
    await assert.rejects(scrubber.scrub({ log: 'c' }), { code: 'NOT_FOUND' })
    const stop = new AbortController()
    const onProgress = () => stop.abort(new Error('enough'))
    await assert.rejects(scrubber.scrub({ signal: stop.signal, onProgress }), /enough/)
    await scrubber.close()
    await assert.rejects(scrubber.scrub(), { code: 'CLOSED' })
  })

  it('tells of a log that cannot be read, and reads the others', async () => {
    const clock = new ManualClock()
    const read: string[] = []
    const checkSegment = () => Promise.reject(new Error('EIO'))
    const bad = { name: 'bad', live: { replica: { checkSegment } } } as unknown as HostedLog
    const told: string[] = []
    const scrubber = new Scrubber({
      logs: () => [bad, logOf('good', [KIB], clock, read)],
      clock,
      bytesPerSecond: MIB,
      tell: ({ log }) => told.push(log),
    })
    scrubber.start()
    await passing(clock, 61)
    assert.deepEqual(told, ['bad'])
    assert.equal(read.length, 1)
    await assert.rejects(scrubber.scrub(), /EIO/)
    await scrubber.close()
  })
})
