// What is done with each image of a durable map: open it, compare, ask again, go on, take a snapshot, open again.
import type { Random } from '#dist/io/index.js'
import type { ForgetfulFiles } from '#dist/simulation/index.js'
import type { MapModel } from '../machine/map-model.ts'
import { perform } from '../machine/map-model.ts'
import { LOG_FOLDER } from './check.ts'
import type { Library } from './library.ts'
import {
  Choices,
  checkEnd,
  compareMap,
  type DurableMap,
  type Log,
  type MachineSample,
  type MachineSettings,
  openMap,
} from './machine-workload.ts'

/** Requests that are asked again. */
const RETRIES = 4

interface Opened {
  readonly log: Log
  readonly map: DurableMap
  readonly clock: InstanceType<Library['ManualClock']>
  /** Where the log ended when it was opened. */
  readonly begun: number
  /** The state that it has to be in. */
  readonly model: MapModel
}

/** Throws unless an image is what was promised, and works. Returns how many more images it has looked at. */
export async function checkMachine(
  library: Library,
  sample: MachineSample,
  settings: MachineSettings,
  random: Random,
): Promise<number> {
  const choices = new Choices(random)
  const { files } = sample.image
  let more = 0
  if (choices.below(8) === 0) {
    const second = await crashRecovery(library, sample, settings, random)
    if (second) {
      more++
      await close(await open(library, second, sample, settings, sample.promised))
    }
  }
  if (choices.below(8) === 0) await readOnly(library, sample, settings)
  if (choices.below(6) === 0) damageNewest(files)
  const opened = await open(library, files, sample, settings)
  await checkSnapshots(opened.log)
  await askAgain(opened, sample)
  if (choices.below(3) > 0) {
    await close(opened)
    return more
  }
  const model = await goOn(opened, choices)
  await askAgain(opened, sample)
  await opened.map.snapshot()
  compareMap(opened.map, model, 'after a snapshot')
  await close(opened)
  if (choices.below(4) === 0) damageNewest(files)
  const { log, map } = await openAs(library, files, sample, settings)
  compareMap(map, model, 'opened after a snapshot')
  await close({ log, map })
  return more
}

async function open(
  library: Library,
  files: ForgetfulFiles,
  sample: MachineSample,
  settings: MachineSettings,
  promised = sample.promised,
): Promise<Opened> {
  const { log, map, clock } = await openAs(library, files, sample, settings)
  const end = log.highWaterMark
  checkEnd(end, promised, sample.submitted)
  const model = sample.history.states[end]!
  if (map.offset !== end) throw new Error(`the map is at ${map.offset}, and the log ends at ${end}`)
  compareMap(map, model, `at offset ${end}`)
  return { log, map, clock, begun: end, model: model.clone() }
}

async function openAs(
  library: Library,
  files: ForgetfulFiles,
  sample: MachineSample,
  settings: MachineSettings,
  mode: 'write' | 'read' = 'write',
) {
  const clock = new library.ManualClock(sample.now)
  const random = library.seededRandom(1)
  const own = mode === 'read' ? { mode } : { ...settings.log }
  const log = await library.Log.open(LOG_FOLDER, { ...own, files, clock, random })
  const map = await openMap(library, log, settings)
  return { log, map, clock }
}

async function close({ log, map }: Pick<Opened, 'log' | 'map'>): Promise<void> {
  await map.close()
  if (map.snapshotFailure !== undefined) throw map.snapshotFailure
  await log.close()
}

/** An image of a second crash, in the middle of opening what the first has left. */
async function crashRecovery(
  library: Library,
  sample: MachineSample,
  settings: MachineSettings,
  random: Random,
): Promise<ForgetfulFiles | undefined> {
  const files = library.cloneAll(sample.image.files)
  let taken: ForgetfulFiles | undefined
  let seen = 0
  files.onOperation = () => {
    if (random.uint32() % ++seen === 0) taken = library.crashImage(files, random).files
  }
  await close(await openAs(library, files, sample, settings))
  return sample.isKill ? undefined : taken
}

/** Who opens it for reading sees such a state too, and changes nothing. */
async function readOnly(
  library: Library,
  sample: MachineSample,
  settings: MachineSettings,
): Promise<void> {
  const { files } = sample.image
  if (!files.existsSync(`${LOG_FOLDER}/meta`)) return
  const { log, map } = await openAs(library, files, sample, settings, 'read')
  const end = map.offset
  checkEnd(end, sample.promised, sample.submitted)
  compareMap(map, sample.history.states[end]!, `opened for reading at offset ${end}`)
  await map.close()
  await log.close()
}

/** A bit of the newest snapshot has turned. Nothing may be lost by that: there is one before it, or the whole log. */
function damageNewest(files: ForgetfulFiles): void {
  const folder = `${LOG_FOLDER}/snapshots`
  if (!files.existsSync(folder)) return
  const names = files.listSync(folder).filter((name) => name.endsWith('.snapshot'))
  const newest = names.sort().at(-1)
  if (newest === undefined) return
  const file = files.openSync(`${folder}/${newest}`, 'write')
  const bytes = Buffer.alloc(file.sizeSync())
  file.readSync(bytes, 0)
  bytes[bytes.length >> 1]! ^= 1
  file.writeSync(bytes, 0)
  file.datasyncSync()
  file.closeSync()
}

/** No snapshot is ahead of the log: else entries to come would be passed over. */
async function checkSnapshots(log: Log): Promise<void> {
  const ahead = (await log.snapshots.list()).at(-1) ?? 0
  if (ahead <= log.highWaterMark) return
  throw new Error(`a snapshot at ${ahead} is ahead of the log, which ends at ${log.highWaterMark}`)
}

/** What was answered before is answered again, or not known any more, but never done again. */
async function askAgain(
  { map, model, begun, clock }: Opened,
  sample: MachineSample,
): Promise<void> {
  const { asked } = sample.history
  const known = asked.slice(0, sample.answered).filter(({ offset }) => offset < begun)
  for (const { operation, session, request, answer: before } of known.slice(-RETRIES)) {
    const id = { session, request }
    const offset = map.offset
    const answer = await perform(map, operation, id)
    const what = `request ${request} of session ${session}`
    if (answer !== before && answer !== 'UNCERTAIN') {
      throw new Error(`${what} was answered ${before}, and ${answer} when it was asked again`)
    }
    const expected =
      map.offset > offset
        ? model.apply({ operation, timestamp: clock.now(), id })
        : model.answer(id)
    if (answer !== expected) throw new Error(`${what}: ${answer} instead of ${expected}`)
    compareMap(map, model, `after ${what} was asked again`)
  }
}

/** Some commands more, with time going on, so that keys and sessions end that were in a snapshot. */
async function goOn({ map, model, clock }: Opened, choices: Choices): Promise<MapModel> {
  for (let i = choices.below(8); i >= 0; i--) {
    if (choices.below(2) === 0) await clock.advance(1 + choices.below(40))
    const operation =
      choices.below(8) === 0 ? ({ kind: 'openSession' } as const) : choices.operation(model)
    const expected = model.apply({ operation, timestamp: clock.now() })
    const answer = await perform(map, operation)
    if (answer !== expected) throw new Error(`${operation.kind}: ${answer} instead of ${expected}`)
    compareMap(map, model, 'after the crash')
  }
  return model
}
