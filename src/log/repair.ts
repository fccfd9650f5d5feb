import { join, resolve } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import {
  type Clock,
  type Files,
  nodeClock,
  nodeFiles,
  nodeRandom,
  type Random,
} from '../io/index.ts'
import type { Progress } from './file-copies.ts'
import { claimLog, type FolderLock, lockFolder, writerOf } from './folder-lock.ts'
import { checkIndexFile } from './index-check.ts'
import { checkLogPath, withIoErrors } from './io-error.ts'
import {
  BROKEN_SUFFIX,
  indexName,
  MARKS_NAME,
  META_NAME,
  parseSegmentName,
  REPAIR_NAME,
} from './names.ts'
import { isHalfMade } from './outline.ts'
import { buildFiles } from './repair-files.ts'
import { carryOut, type RepairJournal, readJournal, writeJournal } from './repair-journal.ts'
import { type OffsetRange, planCut, planSkip, type RepairPlan } from './repair-plan.ts'
import { type Maker, type Survey, survey } from './repair-survey.ts'
import { readChain } from './segment-chain.ts'
import { finish } from './steps.ts'

export interface RepairOptions {
  /** Keep what is sound behind damage too, and give up only what is lost; false by default. */
  readonly skip?: boolean | undefined
  /** Only say what would be done. */
  readonly dryRun?: boolean | undefined
  /** Called as damaged stores are copied. */
  readonly onProgress?: ((done: Progress) => void) | undefined
  /** Stops it while nothing has been changed yet. */
  readonly signal?: AbortSignal | undefined
  /** The lock of a data folder that the log lies in. */
  readonly lock?: FolderLock | undefined
  readonly files?: Files | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

export interface RepairReport {
  readonly folder: string
  /** True if there was nothing to repair; then nothing was touched. */
  readonly wasSound: boolean
  /** Offsets that were in the log and cannot be read any more, in order. */
  readonly lost: readonly OffsetRange[]
  /** What was wrong, for people. */
  readonly problems: readonly string[]
  /** Names under which files are kept that were replaced or cut off. */
  readonly kept: readonly string[]
  readonly lowWaterMark: number
  /** Where the log ends now. */
  readonly highWaterMark: number
}

/** See on-demand.ts, through which programs call it. */
export async function repairLog(
  folder: string,
  options: RepairOptions = {},
): Promise<RepairReport> {
  const files = options.files ?? nodeFiles
  const path = resolve(folder)
  checkLogPath(files, path)
  return withIoErrors(`repair the log ${path}`, async () => {
    if (!holdsLog(files, path)) throw missing(path)
    if (options.dryRun) {
      refuseWriter(files, path, options.lock?.token)
      return await repairLocked(files, path, options)
    }
    const lock = options.lock ? claimLog(options.lock, files, path) : lockFolder(files, path)
    try {
      return await repairLocked(files, path, options)
    } finally {
      lock.releaseSync()
    }
  })
}

/** True if anything in the folder is a log's: a lock must not be left where there is none. */
function holdsLog(files: Files, path: string): boolean {
  if (!files.existsSync(path)) return false
  const own = [META_NAME, MARKS_NAME, REPAIR_NAME]
  return files.listSync(path).some((name) => own.includes(name) || parseSegmentName(name))
}

function missing(path: string): TidemarkError {
  return new TidemarkError('NOT_FOUND', `there is no log in ${path}`)
}

/** `ours` is the token of a lock above the log that the caller has. */
function refuseWriter(files: Files, path: string, ours: string | undefined): void {
  const holder = writerOf(files, path)
  if (!holder || (ours !== undefined && holder.token === ours)) return
  const who = holder.pid === undefined ? 'another process' : `process ${holder.pid}`
  throw new TidemarkError(
    'LOCKED',
    `${path} is being written by ${who}; close it there first`,
    holder.pid === undefined ? {} : { pid: holder.pid },
  )
}

async function repairLocked(
  files: Files,
  path: string,
  options: RepairOptions,
): Promise<RepairReport> {
  const { clock = nodeClock, random = nodeRandom, skip = false, dryRun = false } = options
  const begun = readJournal(files, path)
  if (begun) {
    if (!dryRun) await finish(carryOut(files, path, begun))
    return reportOf(path, begun)
  }
  const maker: Maker = { files, random, now: clock.now() }
  const found = await finish(survey(maker, path))
  if (found.meta?.isReplica) {
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      `${path} is the log of a replica, which is repaired from its peers when it is opened`,
    )
  }
  const indexes = wrongIndexes(files, found)
  const problems = [...problemsOf(found), ...indexes.map((name) => `${name} leads astray`)]
  const { lowWaterMark, end: highWaterMark } = found
  if (problems.length === 0 || isNew(files, path, found)) {
    const nothing = { lost: [], problems: [], kept: [] }
    return { folder: path, wasSound: true, ...nothing, lowWaterMark, highWaterMark }
  }
  const plan = skip ? planSkip(maker, path, found) : planCut(maker, path, found)
  const journal = journalOf(files, path, plan, found, { problems, indexes })
  if (!dryRun) await perform(files, path, { plan, found, journal }, options)
  return reportOf(path, journal)
}

/** A writer that ended while it made the log has left an empty segment and no meta file. */
function isNew(files: Files, path: string, found: Survey): boolean {
  return found.metaProblem === 'missing' && isHalfMade(files, readChain(files, path, 0))
}

async function perform(
  files: Files,
  path: string,
  work: { plan: RepairPlan; found: Survey; journal: RepairJournal },
  { signal, onProgress }: RepairOptions,
): Promise<void> {
  const { plan, found, journal } = work
  const totalBytes = plan.rewrites.reduce((sum, { fromBytes }) => sum + fromBytes, 0)
  let bytes = 0
  const onBytes = (count: number) => {
    bytes += count
    onProgress?.({ bytes, totalBytes })
  }
  const install = await buildFiles(files, path, plan, found, { signal, onBytes })
  signal?.throwIfAborted()
  await files.syncDirectory(path)
  const decided = { ...journal, install }
  await finish(writeJournal(files, path, decided))
  await finish(carryOut(files, path, decided))
}

function problemsOf(found: Survey): string[] {
  const { meta, metaProblem, parts, frontEnd, strays } = found
  const problems: string[] = []
  if (metaProblem !== undefined) problems.push(`meta: ${metaProblem}`)
  const active = parts.at(-1)?.segment
  if (meta?.clean && meta.clean.segmentId !== active?.id) {
    problems.push('meta: the segment that was active when the log was closed is missing')
  }
  if (frontEnd !== undefined || !active) problems.push('the first segment is missing')
  for (const { segment, headerProblem, bad, file } of parts) {
    if (headerProblem !== undefined) problems.push(`${segment.name}: ${headerProblem}`)
    if (file === undefined) continue
    for (const { offset, endOffset, position, problem } of bad) {
      const which =
        endOffset === offset + 1 ? `offset ${offset}` : `offsets ${offset} to ${endOffset - 1}`
      problems.push(`${segment.name}, position ${position}, ${which}: ${problem}`)
    }
  }
  for (const name of strays) problems.push(`${name}: does not belong to the log`)
  return problems
}

/** Indexes that lead to other entries than they say. Those that cannot be read are rebuilt anyway. */
function wrongIndexes(files: Files, { parts }: Survey): string[] {
  const wrong = new Set<string>()
  for (const { segment, file, endOffset, endPosition } of parts) {
    if (file === undefined) continue
    segment.endOffset = endOffset
    segment.endPosition = endPosition
    const name = indexName(segment.base, segment.id)
    checkIndexFile(files, segment, [], () => wrong.add(name))
  }
  return [...wrong]
}

function journalOf(
  files: Files,
  path: string,
  plan: RepairPlan,
  found: Survey,
  { problems, indexes }: { problems: readonly string[]; indexes: readonly string[] },
): RepairJournal {
  const isMetaDamaged = found.metaProblem !== undefined && found.metaProblem !== 'missing'
  const aside = [...plan.setAside, ...(isMetaDamaged ? [META_NAME] : [])]
  const stale = plan.rewrites.map(({ segment }) => indexName(segment.base, segment.id))
  return {
    setAside: aside.map((name) => [name, freeName(files, path, name)] as const),
    remove: [...new Set([...stale, ...indexes])],
    install: [],
    lost: plan.lost,
    problems,
    lowWaterMark: plan.meta.lowWaterMark,
    highWaterMark: plan.end,
  }
}

/** A name to keep a file under, which no earlier repair has used. */
function freeName(files: Files, path: string, name: string): string {
  for (let number = 1; ; number++) {
    const kept = `${name}${number === 1 ? '' : `.${number}`}${BROKEN_SUFFIX}`
    if (!files.existsSync(join(path, kept))) return kept
  }
}

function reportOf(folder: string, journal: RepairJournal): RepairReport {
  const { lost, problems, lowWaterMark, highWaterMark } = journal
  const kept = journal.setAside.map(([, name]) => name)
  return { folder, wasSound: false, lost, problems, kept, lowWaterMark, highWaterMark }
}
