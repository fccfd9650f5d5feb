import { getU16, getU32, setU16, setU32, TidemarkError } from '../base/index.ts'
import type { CommitLog } from '../log/index.ts'
import { ChunkStream } from './bytes-in.ts'
import { MachineCore } from './machine-core.ts'
import type { MachineSettings } from './options.ts'

// A snapshot of a state machine, within a snapshot of the log (whose frames have the checksums): 12 bytes of
// header, the head (where it stands, sessions, events that are not delivered), then the state as its codec
// writes it. Version 1 had no numbers of events, and did not count sessions. docs/format.md is its page.

const HEADER_BYTES = 12
/** "TMSM" as it lies in the file. */
const MAGIC = 0x4d534d54
const VERSION = 2
const VERSION_BY_OFFSET = 1
/** Sessions and events together; a length beyond it is not believed. */
const HEAD_BYTES_MAX = 1024 * 1024 * 1024
/** What fits in the 6 bytes of the head. */
const OFFSET_MAX = 2 ** 48 - 1
/** Snapshots that are kept: the newest, and the one to fall back to. */
const SNAPSHOTS_KEPT = 2
/** How often the snapshots may be replaced by others while they are read. */
const ATTEMPTS_MAX = 20

type BytesLog = CommitLog<Buffer, Uint8Array | string>

/** The chunks of a snapshot of the state as it is now. Commands may go on while they are taken. */
export function snapshotChunks<S, C, R, E>(
  core: MachineCore<S, C, R, E>,
  { state }: MachineSettings<S, C, R, E>,
): AsyncIterable<Uint8Array> {
  const head = core.encodeHead()
  // What no reader would take must not become the reason to trim the log.
  if (head.length > HEAD_BYTES_MAX || core.next > OFFSET_MAX) {
    throw new TidemarkError(
      'TOO_LARGE',
      `a snapshot before offset ${core.next} with ${head.length} bytes of sessions and events: ${HEAD_BYTES_MAX} bytes are the most, and offset ${OFFSET_MAX}`,
      { offset: core.next },
    )
  }
  const header = Buffer.alloc(HEADER_BYTES)
  setU32(header, 0, MAGIC)
  setU16(header, 4, VERSION)
  setU32(header, 8, head.length)
  // Called before this function returns: the moment that the snapshot is of.
  const chunks = state.encode(core.state)
  return joined([header, head], chunks)
}

async function* joined(
  first: readonly Uint8Array[],
  rest: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* first
  yield* rest
}

/**
 * The state to begin a replay with: of the newest snapshot that is sound, or the initial one. Adds to `damaged`
 * what could not be read. Throws CORRUPT if the log no longer has what the replay needs,
 * UNSUPPORTED_VERSION for a newer release's snapshot.
 */
export async function restoreCore<S, C, R, E>(
  log: BytesLog,
  settings: MachineSettings<S, C, R, E>,
  damaged: Set<number>,
): Promise<MachineCore<S, C, R, E>> {
  for (let attempt = 1; ; attempt++) {
    const before = await log.snapshots.list()
    try {
      return await restoreFrom(log, settings, [...before].reverse(), damaged)
    } catch (error) {
      // The writer of a log that is only read here may have replaced both snapshots meanwhile.
      const isPassing = error instanceof TidemarkError && error.code === 'CORRUPT'
      const after = isPassing ? await log.snapshots.list() : before
      if (after.join() === before.join() || attempt === ATTEMPTS_MAX) throw error
      await log.barrier()
    }
  }
}

async function restoreFrom<S, C, R, E>(
  log: BytesLog,
  settings: MachineSettings<S, C, R, E>,
  offsets: readonly number[],
  damaged: Set<number>,
): Promise<MachineCore<S, C, R, E>> {
  const failures: unknown[] = []
  for (const offset of offsets) {
    if (offset < log.lowWaterMark || offset > log.highWaterMark) continue
    try {
      return await readSnapshot(log, offset, settings)
    } catch (error) {
      if (error instanceof TidemarkError && error.code === 'UNSUPPORTED_VERSION') throw error
      failures.push(error)
      damaged.add(offset)
    }
  }
  if (log.lowWaterMark === 0) return new MachineCore(settings, settings.initial(), 0)
  throw new TidemarkError(
    'CORRUPT',
    `the log begins at offset ${log.lowWaterMark}, and of its snapshots none can be read to begin with`,
    { offset: log.lowWaterMark },
    failures[0],
  )
}

async function readSnapshot<S, C, R, E>(
  log: BytesLog,
  offset: number,
  settings: MachineSettings<S, C, R, E>,
): Promise<MachineCore<S, C, R, E>> {
  const stream = new ChunkStream(log.snapshots.read(offset))
  try {
    const header = await stream.take(HEADER_BYTES)
    const { version, length } = checkHeader(header, offset)
    const head = await stream.take(length)
    const core = new MachineCore(settings, settings.initial(), offset)
    core.decodeHead(head, version === VERSION_BY_OFFSET)
    if (core.next !== offset) throw notOurs(offset, `it stands for offset ${core.next}`)
    core.state = await settings.state.decode(stream.rest())
    // To the end: the last frame says that nothing is missing behind what the codec has read.
    for await (const chunk of stream.rest()) {
      throw notOurs(offset, `the state's codec has left ${chunk.length} bytes or more`)
    }
    return core
  } finally {
    await stream.end()
  }
}

function checkHeader(header: Uint8Array, offset: number): { version: number; length: number } {
  if (getU32(header, 0) !== MAGIC) throw notOurs(offset, 'wrong magic')
  const version = getU16(header, 4)
  if (version !== VERSION && version !== VERSION_BY_OFFSET) {
    throw new TidemarkError(
      'UNSUPPORTED_VERSION',
      `the snapshot at offset ${offset} has version ${version}; this release reads versions up to ${VERSION}`,
      { offset },
    )
  }
  const length = getU32(header, 8)
  if (length > HEAD_BYTES_MAX) throw notOurs(offset, `a head of ${length} bytes`)
  return { version, length }
}

function notOurs(offset: number, problem: string): TidemarkError {
  const message = `the snapshot at offset ${offset} is not a state machine's: ${problem}`
  return new TidemarkError('CORRUPT', message, { offset })
}

/**
 * Removes all but the newest two, and says below which offset nothing is needed any more: the older of the
 * two, from which a replay would begin if the newer were damaged. One that is known to be damaged counts as none.
 */
export async function dropOldSnapshots(
  log: BytesLog,
  damaged: ReadonlySet<number>,
): Promise<number> {
  const offsets = await log.snapshots.list()
  const kept = offsets.filter((offset) => !damaged.has(offset)).slice(-SNAPSHOTS_KEPT)
  if (kept.length < SNAPSHOTS_KEPT) return 0
  for (const offset of offsets) if (!kept.includes(offset)) await log.snapshots.remove(offset)
  return kept[0]!
}
