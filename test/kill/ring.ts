// The acceptance ring: a writer process that is killed again and again on one log, and what must be true
// each time. Everything goes through the command line, with the acknowledged offsets on the other
// side of a pipe; nothing here knows how the log works.
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { type Random, seededRandom } from '#dist/io/index.js'
import { Tidemark, tidemark } from '../cli/tidemark.js'
import { RingLines } from './ring-lines.js'

export interface RingOptions {
  readonly log: string
  readonly rounds: number
  readonly seed: number
  /** How long a writer lives, from the start of its process. */
  readonly lifeMs: { readonly min: number; readonly max: number }
  readonly onRound?: (round: RingRound) => void
}

export interface RingRound {
  readonly number: number
  readonly mode: string
  readonly lifeMs: number
  readonly sent: number
  readonly acknowledged: number
  /** Entries of this life that were kept without having been acknowledged. */
  readonly extra: number
  readonly tornBytes: number
  /** Entries in the log, all of which were compared. */
  readonly entries: number
}

/** One life of a writer: it was sent lines from `firstLine` on, and its entries begin at `firstOffset`. */
interface Life {
  readonly firstOffset: number
  readonly firstLine: number
  readonly sent: number
  readonly acknowledged: number
  readonly batch: number
}

interface Mode {
  readonly name: string
  readonly args: readonly string[]
  readonly batch: number
}

const MODES: readonly Mode[] = [
  { name: 'always', args: [], batch: 1 },
  { name: 'always, batches of 7', args: ['--batch', '7'], batch: 7 },
  { name: 'never', args: ['--sync', 'never'], batch: 1 },
  { name: 'every 20 ms', args: ['--sync', '20'], batch: 1 },
]

/** The lines that a life may be sent, so that a log of a hundred lives can be read a hundred times. */
const LINES_MAX = 20_000

/** Throws an AssertionError at the first promise that was broken. */
export async function killRing(options: RingOptions): Promise<RingRound[]> {
  const random = seededRandom(options.seed)
  const lines = new RingLines(random)
  const lives: Life[] = []
  const rounds: RingRound[] = []
  let firstOffset = 0
  let firstLine = 0
  for (let number = 1; number <= options.rounds; number++) {
    // Most rounds run as a log does by default; the others take turns.
    const mode = MODES[random.uint32() % 2 === 0 ? 0 : number % MODES.length]!
    const { min, max } = options.lifeMs
    const lifeMs = min + (random.uint32() % (max - min + 1))
    const { sent, offsets } = await liveAndDie(options.log, mode, lifeMs, lines, firstLine, random)
    offsets.forEach((offset, i) => {
      assert.equal(offset, firstOffset + i, `round ${number}: acknowledged out of order`)
    })
    const acknowledged = offsets.length
    lives.push({ firstOffset, firstLine, sent, acknowledged, batch: mode.batch })
    const entries = await compareAll(options.log, lives, lines)
    const extra = entries - firstOffset - acknowledged
    const tornBytes = await verified(options.log, lives, entries)
    firstLine += sent
    firstOffset = entries
    const round = { number, mode: mode.name, lifeMs, sent, acknowledged, extra, tornBytes, entries }
    rounds.push(round)
    options.onRound?.(round)
  }
  return rounds
}

/** Starts a writer, feeds it until its time has come, and kills it with -9. */
async function liveAndDie(
  log: string,
  mode: Mode,
  lifeMs: number,
  lines: RingLines,
  firstLine: number,
  random: Random,
): Promise<{ sent: number; offsets: number[] }> {
  const options = ['--ack', '--quiet', '--segment-bytes', String(2 ** 20), ...mode.args]
  const writer = new Tidemark(['append', log, ...options])
  const killer = setTimeout(() => writer.kill('SIGKILL'), lifeMs)
  const allowed = pace(random, lifeMs)
  const startedAt = performance.now()
  let sent = 0
  while (!writer.isOver) {
    const now = Math.min(LINES_MAX, Math.floor(allowed(performance.now() - startedAt)))
    if (now > sent) writer.stdin.write(lines.text(firstLine + sent, now - sent))
    sent = Math.max(sent, now)
    await delay(1)
  }
  clearTimeout(killer)
  const { code, stdout, stderr } = await writer.result()
  assert.deepEqual({ code, stderr }, { code: null, stderr: '' }, 'it was to die by the kill alone')
  // What stands behind the last newline is half of a number.
  const offsets = stdout.toString('latin1').split('\n').slice(0, -1).map(Number)
  return { sent, offsets }
}

/**
 * How many lines a writer is sent in the first so many ms of its life: steadily, in bursts with silence in
 * between, or nearly all at once just before its death. The kill shall meet it in every state.
 */
function pace(random: Random, lifeMs: number): (elapsedMs: number) => number {
  const style = random.uint32() % 3
  const perMs = LINES_MAX / lifeMs
  if (style === 0) return (elapsedMs) => elapsedMs * perMs
  if (style === 1) {
    const burstMs = 2 + (random.uint32() % 50)
    return (elapsedMs) => Math.floor(elapsedMs / burstMs) * burstMs * perMs
  }
  const floodMs = lifeMs - (5 + (random.uint32() % 60))
  return (elapsedMs) => (elapsedMs < floodMs ? elapsedMs / 10 : LINES_MAX)
}

/**
 * Reads the whole log with `cat --json`, and compares it with what was sent. Each life left a beginning of
 * its lines, nothing twice, nothing else, and at least all that it acknowledged. Resolves with the
 * number of entries.
 */
async function compareAll(log: string, lives: readonly Life[], lines: RingLines): Promise<number> {
  const reader = new Tidemark(['cat', log, '--json'], { collect: false })
  let life = 0
  let expected = 0
  for await (const json of createInterface({ input: reader.stdoutStream })) {
    const { offset, data } = JSON.parse(json)
    assert.equal(offset, expected, 'an offset is missing, or there twice')
    while (lives[life + 1] && offset >= lives[life + 1]!.firstOffset) life++
    const { firstLine, firstOffset, sent } = lives[life]!
    const place = offset - firstOffset
    assert.ok(place < sent, `offset ${offset} holds what was never sent`)
    if (data !== lines.line(firstLine + place)) {
      assert.equal(data, lines.line(firstLine + place), `offset ${offset} holds another line`)
    }
    expected++
  }
  const { code, stderr } = await reader.result()
  if (code === 1 && stderr.includes('NOT_FOUND') && !wasPromised(lives)) return 0
  assert.equal(code, 0, stderr)
  const { firstOffset, acknowledged, batch } = lives.at(-1)!
  const end = firstOffset + acknowledged
  assert.ok(expected >= end, `acknowledged up to ${end}, but the log ends at ${expected}`)
  assert.equal((expected - firstOffset) % batch, 0, `a part of a batch of ${batch} was kept`)
  return expected
}

/** False as long as no life was long enough to create the log and append to it. */
function wasPromised(lives: readonly Life[]): boolean {
  return lives.some(({ acknowledged }) => acknowledged > 0)
}

/** `verify` finds the log sound, and sees the same entries; resolves with the bytes of its torn end. */
async function verified(log: string, lives: readonly Life[], entries: number): Promise<number> {
  const { code, stdout, stderr } = await tidemark(['verify', log, '--json'])
  if (code === 1 && stderr.includes('NOT_FOUND') && !wasPromised(lives)) return 0
  assert.equal(code, 0, `${stdout}${stderr}`)
  const report = JSON.parse(stdout.toString())
  assert.deepEqual(report.damage, [])
  assert.equal(report.entries, entries)
  return report.tornBytes
}
