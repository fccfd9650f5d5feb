// What is done with each image: open it for reading, for writing, write on, close, open again.
import type { Random } from '#dist/io/index.js'
import type { CrashImage } from '#dist/simulation/index.js'
import type { Library } from './library.ts'
import { checkFound, type Expectation } from './model.ts'

export interface Opened {
  readonly low: number
  readonly found: Map<number, string>
}

export interface Settings {
  readonly segmentBytes: number
  readonly indexIntervalBytes: number
  readonly replica: boolean
}

export const LOG_FOLDER = '/data/log'

/** All that is in the log, read forward. For a replica also what is above the high-water mark. */
export async function contentsOf(
  log: Awaited<ReturnType<Library['Log']['open']>>,
  replica: boolean,
): Promise<Opened> {
  const found = new Map<number, string>()
  const low = log.lowWaterMark
  const entries = replica ? log.replica.read(low, log.replica.endOffset) : log.read()
  for await (const { offset, data } of entries) {
    if (found.has(offset)) throw new Error(`offset ${offset} was read twice`)
    found.set(offset, (data as Buffer).toString())
  }
  const end = replica ? log.replica.endOffset : log.highWaterMark
  if (found.size !== end - low) {
    throw new Error(`${found.size} entries were read between ${low} and ${end}`)
  }
  return { low, found }
}

function options(library: Library, settings: Settings, files: CrashImage['files'], random: Random) {
  const clock = new library.ManualClock()
  return { ...settings, files, clock, random }
}

/** Opens an image and checks it; `deep` also writes on, closes, opens again, and crashes the recovery. */
export async function checkImage(
  library: Library,
  image: CrashImage['files'],
  settings: Settings,
  expected: Expectation,
  promised: ReadonlyMap<number, string>,
  random: Random,
  deep: boolean,
): Promise<number> {
  let images = 0
  if (deep && !settings.replica)
    await checkReadOnly(library, image, settings, expected, promised, random)
  const second = deep ? await crashRecovery(library, image, settings, random) : undefined
  if (second) {
    images++
    await checkImage(library, second.files, settings, expected, expected.durable, random, false)
  }
  const log = await library.Log.open(LOG_FOLDER, options(library, settings, image, random))
  const { low, found } = await contentsOf(log, settings.replica)
  checkFound(expected, promised, low, found)
  if (deep) await writeOn(library, image, log, settings, { low, found }, random)
  else await log.close()
  return images
}

async function checkReadOnly(
  library: Library,
  image: CrashImage['files'],
  settings: Settings,
  expected: Expectation,
  promised: ReadonlyMap<number, string>,
  random: Random,
): Promise<void> {
  if (!image.existsSync(LOG_FOLDER) || !image.existsSync(`${LOG_FOLDER}/meta`)) return
  const reading = { ...options(library, settings, image, random), mode: 'read' as const }
  const log = await library.Log.open(LOG_FOLDER, reading)
  const { low, found } = await contentsOf(log, false)
  checkFound(expected, promised, low, found)
  await log.close()
}

/** An image of a second crash, in the middle of recovering from the first. */
async function crashRecovery(
  library: Library,
  image: CrashImage['files'],
  settings: Settings,
  random: Random,
): Promise<CrashImage | undefined> {
  const files = library.cloneAll(image)
  let taken: CrashImage | undefined
  let seen = 0
  files.onOperation = () => {
    // Each operation is as likely as the others to be the one before which it crashes.
    if (random.uint32() % ++seen === 0) taken = library.crashImage(files, random)
  }
  const log = await library.Log.open(LOG_FOLDER, options(library, settings, files, random))
  await log.close()
  return taken
}

async function writeOn(
  library: Library,
  image: CrashImage['files'],
  log: Awaited<ReturnType<Library['Log']['open']>>,
  settings: Settings,
  before: Opened,
  random: Random,
): Promise<void> {
  const content = 'after:0/1:the crash'
  const data = Buffer.from(content)
  const entry = { term: 9999, type: 1, timestamp: 0, count: 1, data }
  const offset = settings.replica
    ? (await log.replica.append([entry])).first
    : await log.append(data)
  const wanted = new Map(before.found).set(offset, content)
  await log.close()
  const again = await library.Log.open(LOG_FOLDER, options(library, settings, image, random))
  const { found } = await contentsOf(again, settings.replica)
  await again.close()
  for (const [at, text] of wanted) {
    if (found.get(at) !== text) throw new Error(`after reopening, offset ${at} is not "${text}"`)
  }
  if (found.size !== wanted.size) throw new Error(`reopened with ${found.size} entries`)
}
