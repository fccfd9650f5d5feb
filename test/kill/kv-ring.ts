// The ring for `tidemark kv`: a process that sets keys from its standard input is killed again and again on
// one folder, and what `kv list` shows then is compared with a model, key for key.
import assert from 'node:assert/strict'
import { seededRandom } from '#dist/io/index.js'
import { Tidemark, tidemark } from '../cli/tidemark.js'

export interface KvRingOptions {
  readonly folder: string
  readonly rounds: number
  readonly seed: number
  /** How long a writer lives, from the start of its process. */
  readonly lifeMs: { readonly min: number; readonly max: number }
  readonly onRound?: (round: KvRound) => void
}

export interface KvRound {
  readonly number: number
  readonly mode: string
  readonly lifeMs: number
  readonly acknowledged: number
  /** Lines of this life that were kept without having been acknowledged. */
  readonly extra: number
  /** Keys in the map, all of which were compared. */
  readonly keys: number
  /** Where a snapshot was taken after this round. */
  readonly snapshot: number | undefined
}

const LINES = 200_000
/** Fewer than lines: a key is set several times in a life. */
const KEYS = 50_000
/** Without a common factor with the number of keys. */
const STRIDE = 7919
const MODES = [[], [], ['--sync', 'never'], ['--sync', '20']] as const

/** What the command line is to print for any text. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\\\')
    .replaceAll('\t', '\\t')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
}

/** The key of a line, as it is written: some have in them what must be escaped. */
function keyOf(line: number): string {
  const key = (line * STRIDE) % KEYS
  return escaped(key % 10 === 0 ? `${key}\t\\n\n\r \u{1f30a}` : `key ${key}`)
}

/** Its value, which no other line has. */
function textOf(line: number): string {
  const hash = Math.imul(line + 1, 0x9e3779b1) >>> 0
  return escaped(`${line} ${'\\x\ty\n'.repeat(hash % 8)}`)
}

/**
 * Throws an AssertionError at the first promise that was broken. After each kill the map is what it was, and a
 * beginning of the lines that the writer was sent: at least all that it acknowledged, in their order.
 */
export async function kvRing(options: KvRingOptions): Promise<KvRound[]> {
  const { folder } = options
  const random = seededRandom(options.seed)
  const model = new Map<string, string>()
  const rounds: KvRound[] = []
  for (let number = 1; number <= options.rounds; number++) {
    const mode = MODES[random.uint32() % MODES.length]!
    const { min, max } = options.lifeMs
    const lifeMs = min + (random.uint32() % (max - min + 1))
    const first = number * LINES
    const acknowledged = await liveAndDie(folder, mode, lifeMs, first)
    const listed = await list(folder, model.size > 0 || acknowledged > 0)
    const kept = keptOf(listed, first)
    assert.ok(kept >= acknowledged, `acknowledged ${acknowledged}, but kept ${kept}`)
    for (let line = first; line < first + kept; line++) model.set(keyOf(line), textOf(line))
    compare(listed, model)
    const snapshot = random.uint32() % 2 === 0 ? await takeSnapshot(folder, model.size) : undefined
    const extra = kept - acknowledged
    const name = mode.join(' ') || '--sync always'
    rounds.push({ number, mode: name, lifeMs, acknowledged, extra, keys: listed.size, snapshot })
    options.onRound?.(rounds.at(-1)!)
  }
  return rounds
}

/** Sends lines to a writer until its time has come; resolves with how many it has acknowledged. */
async function liveAndDie(
  folder: string,
  mode: readonly string[],
  lifeMs: number,
  first: number,
): Promise<number> {
  let text = ''
  for (let line = first; line < first + LINES; line++) text += `${keyOf(line)}\t${textOf(line)}\n`
  const writer = new Tidemark(['kv', folder, 'set', '--ack', '--quiet', ...mode])
  const killer = setTimeout(() => writer.kill('SIGKILL'), lifeMs)
  writer.stdin.write(text)
  const { code, stdout, stderr } = await writer.result()
  clearTimeout(killer)
  assert.deepEqual({ code, stderr }, { code: null, stderr: '' }, 'it was to die by the kill alone')
  // What stands behind the last newline is half of a key.
  const keys = stdout.toString('utf8').split('\n').slice(0, -1)
  keys.forEach((key, i) => {
    if (key !== keyOf(first + i)) assert.equal(key, keyOf(first + i), 'another key than was sent')
  })
  return keys.length
}

/** What `kv list` prints, in its order. */
async function list(folder: string, isPromised: boolean): Promise<Map<string, string>> {
  const { code, stdout, stderr } = await tidemark(['kv', folder, 'list'])
  // A life may be too short to make the log.
  if (code === 1 && stderr.includes('NOT_FOUND') && !isPromised) return new Map()
  assert.equal(code, 0, stderr)
  const lines = stdout.toString('utf8').split('\n').slice(0, -1)
  return new Map(
    lines.map((line) => {
      const tab = line.indexOf('\t')
      return [line.slice(0, tab), line.slice(tab + 1)]
    }),
  )
}

/** How many lines of a life have left something: its last one, at least, has not been overwritten. */
function keptOf(listed: ReadonlyMap<string, string>, first: number): number {
  let kept = 0
  for (const value of listed.values()) {
    const line = Number.parseInt(value, 10)
    if (line >= first) kept = Math.max(kept, line - first + 1)
  }
  return kept
}

function compare(listed: ReadonlyMap<string, string>, model: ReadonlyMap<string, string>): void {
  assert.equal(listed.size, model.size, 'keys are missing, or there are too many')
  for (const [key, value] of model) {
    if (listed.get(key) !== value) assert.equal(listed.get(key), value, `the value of ${key}`)
  }
}

async function takeSnapshot(folder: string, keys: number): Promise<number | undefined> {
  const { code, stdout, stderr } = await tidemark(['kv', folder, 'snapshot', '--json'])
  if (code === 1 && stderr.includes('NOT_FOUND') && keys === 0) return undefined
  assert.equal(code, 0, stderr)
  const facts = JSON.parse(stdout.toString()) as { offset: number; keys: number }
  assert.equal(facts.keys, keys)
  return facts.offset
}
