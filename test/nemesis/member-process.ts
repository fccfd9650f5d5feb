// A process of the nemesis: one member with replicas of a few logs, a state machine, a disk and a clock that obey the parent:
// node member-process.js FOLDER-OF-THE-BUILD OPTIONS
import { createHash } from 'node:crypto'
import type { StateMachine } from 'tidemark/machine'
import type { FailedEvent, Member, MemberOptions, ReplicatedLog } from 'tidemark/quorum'
import { nodeRandom, seededRandom } from '#dist/io/index.js'
import { layersOf } from '../kill/quorum/layers.ts'
import { type Tally, tallyOf } from '../kill/quorum/tally.ts'
import { WrongClock } from './clock.ts'
import { Disk, type DiskState } from './disk.ts'
import { follow } from './follow.ts'
import { LOGS, type LogName, MACHINE } from './logs.ts'
import type { DamageNotice, FailedNotice, SeenNotice } from './notices.ts'
import { digestOf, nameOf, textOf } from './texts.ts'

export interface ProcessOptions
  extends Omit<MemberOptions, 'files' | 'clock' | 'random' | 'secret' | 'tls'> {
  readonly seed: number
  readonly aheadMs: number
  readonly rate: number
  readonly graves: string
  /** Of a member that comes to a cluster that there is. */
  readonly join?: boolean
  /** Of each log; as many as by default otherwise. */
  readonly replicas?: number | undefined
}

export interface ReplicaState {
  readonly name: string
  readonly role: string
  readonly term: number
  readonly id: number
  readonly holes: number
  /** Offsets that are missing: from the first, below the second of each. */
  readonly missing: readonly (readonly [from: number, to: number])[]
  readonly failure: string | undefined
  readonly members: { readonly voters: readonly number[]; readonly outgoing: readonly number[] }
  readonly lowWaterMark: number
  readonly highWaterMark: number
}

export interface MemberState {
  readonly id: number
  readonly address: string
  readonly state: string
}

/** What a log has from `from` on: a hash of all that {@link digestOf} was given. */
export interface DigestAnswer {
  readonly from: number
  readonly hash: string
}

export interface LookAnswer {
  readonly entries: readonly (readonly [offset: number, name: string])[]
  readonly code?: string
  readonly message?: string
}

type ReadAnswer = { from: number; entries: [number, string][]; highWaterMark: number }

/** What the processes can be asked for. */
export interface Asked {
  append: (asked: { log: LogName; names: string[] }) => Promise<{ first: number; last: number }>
  /** A linearizable read of at most so many entries, from where the log begins if that is later. */
  read: (asked: { log: LogName; from: number; max: number }) => Promise<ReadAnswer>
  /** As `read`, and only what it comes to. */
  digest: (asked: { log: LogName }) => Promise<DigestAnswer>
  /** Entries as they are here, without asking anybody; or the code and the message of why not. */
  look: (asked: { log: LogName; from: number; to: number }) => Promise<LookAnswer>
  /** Resolves with how many places are damaged. */
  scrub: (asked: object) => Promise<number>
  trim: (asked: { log: LogName; keep: number }) => Promise<void>
  openSession: (asked: object) => Promise<string>
  execute: (asked: { command: string; session: string; request: number }) => Promise<number>
  state: (asked: object) => Promise<Tally>
  status: (asked: object) => { logs: ReplicaState[]; members: MemberState[] }
  transfer: (asked: { log: string; to: number }) => Promise<void>
  disk: (asked: DiskState) => void
  jump: (asked: { ms: number }) => void
  /** The power goes: never answered. */
  lose: (asked: object) => void
  addMember: (asked: { id: number; address: string }) => Promise<void>
  removeMember: (asked: { id: number }) => Promise<void>
}

const SNAPSHOT_ENTRIES = 1000
const AGAIN_MS = 100

const [build, words] = process.argv.slice(2)
const { seed, aheadMs, rate, graves, replicas, ...memberOptions } = JSON.parse(
  words!,
) as ProcessOptions
const { quorum, machines } = await layersOf(build!)
const tally = tallyOf(SNAPSHOT_ENTRIES)
const disk = new Disk(graves, seededRandom(seed))
const clock = new WrongClock(aheadMs, rate)
const logs = new Map<string, ReplicatedLog<Buffer, Uint8Array | string>>()
let member: Member
let machine: StateMachine<Tally, string, number> | undefined
let isEnding = false

class NotOpen extends Error {
  readonly code = 'NOT_OPEN'
}

function logOf(name: string) {
  const log = logs.get(name)
  if (!log) throw new NotOpen(`${name} is not open yet`)
  return log
}

function theMachine() {
  if (!machine) throw new NotOpen('the machine is not open yet')
  return machine
}

const answers: Asked = {
  async append({ log, names }) {
    const texts = names.map(textOf)
    if (texts.length > 1) return logOf(log).appendBatch(texts)
    const first = await logOf(log).append(texts[0]!)
    return { first, last: first }
  },
  async read({ log: name, from: wanted, max }) {
    const log = logOf(name)
    await log.barrier()
    const { highWaterMark } = log
    const from = Math.max(wanted, log.lowWaterMark)
    const entries: [number, string][] = []
    for await (const { offset, data } of log.read({ from, to: highWaterMark })) {
      entries.push([offset, nameOf(data.toString())])
      if (entries.length === max) break
    }
    return { from, entries, highWaterMark }
  },
  async digest({ log: name }) {
    const log = logOf(name)
    await log.barrier()
    const { highWaterMark } = log
    const from = log.lowWaterMark
    const hash = createHash('sha256')
    for await (const { offset, data } of log.read({ from, to: highWaterMark })) {
      hash.update(digestOf(offset, nameOf(data.toString())))
    }
    return { from, hash: hash.digest('hex') }
  },
  async look({ log, from, to }) {
    const entries: [number, string][] = []
    try {
      for await (const { offset, data } of logOf(log).read({ from, to })) {
        entries.push([offset, nameOf(data.toString())])
      }
      return { entries }
    } catch (error) {
      const { code = 'UNKNOWN', message } = error as { code?: string; message: string }
      return { entries, code, message }
    }
  },
  async scrub() {
    return (await member.scrub()).damaged.length
  },
  async trim({ log: name, keep }) {
    const log = logOf(name)
    const before = log.highWaterMark - keep
    if (before > log.lowWaterMark) await log.trim(before)
  },
  async openSession() {
    return (await theMachine().openSession()).id
  },
  execute: ({ command, ...session }) => theMachine().execute(command, session),
  state: () => theMachine().read((state) => state),
  status() {
    const { logs: replicas, members } = member.status()
    const states = replicas.map(({ holes, ...one }) => {
      const missing = holes.map(({ from, to }) => [from, to] as const)
      return { ...one, holes: holes.length, missing }
    })
    return { logs: states, members: [...members] }
  },
  transfer: ({ log, to }) => member.transfer(log, to),
  disk(state) {
    disk.state = state
  },
  jump({ ms }) {
    clock.aheadMs += ms
  },
  lose() {
    disk.lose()
    process.kill(process.pid, 'SIGKILL')
  },
  addMember: ({ id, address }) => member.addMember(id, address),
  removeMember: ({ id }) => member.removeMember(id),
}

async function answer(asked: { number: number; what: keyof Asked; with: never }): Promise<void> {
  const { number, what } = asked
  try {
    say({ number, answer: await answers[what](asked.with) })
  } catch (error) {
    const { code = 'UNKNOWN', message } = error as { code?: string; message: string }
    say({ number, code, message })
    if (what === 'execute' || what === 'openSession' || what === 'state') await mendMachine()
  }
}

/** The parent may be gone. */
function say(message: object): void {
  if (process.connected) process.send!(message)
}

function sayFailed({ log, error, retryMs }: FailedEvent): void {
  const { name, message, code } = error as { name: string; message: string; code?: string }
  const isAgain = retryMs !== undefined
  say({ notice: 'failed', log, name, code, text: message, isAgain } satisfies FailedNotice)
}

/** Whoever opens a log waits for a leader of the catalog, which may not be there for long. */
async function openLogs(): Promise<void> {
  for (const [name, options] of Object.entries(LOGS)) {
    const log = await insist(() => member.log(name, { ...options, replicas }))
    if (!log) return
    logs.set(name, log)
    if (name !== MACHINE) void follow(log, () => isEnding, sayMore)
  }
  await openMachine()
}

function sayMore(seen: Omit<SeenNotice, 'notice'>): void {
  say({ notice: 'seen', ...seen } satisfies SeenNotice)
}

async function openMachine(): Promise<void> {
  machine = await insist(() => machines.StateMachine.open(logOf(MACHINE), tally))
}

/** A machine whose log has failed under it is over, and is built anew. */
async function mendMachine(): Promise<void> {
  try {
    machine?.query(() => undefined)
  } catch {
    const old = machine
    machine = undefined
    await old?.close().catch(() => {})
    await openMachine()
  }
}

async function insist<T>(attempt: () => Promise<T>): Promise<T | undefined> {
  while (!isEnding) {
    try {
      return await attempt()
    } catch (error) {
      const { code, name, message } = error as { code?: string; name: string; message: string }
      const isAgain = code !== undefined
      say({ notice: 'failed', log: '', name, code, text: message, isAgain } satisfies FailedNotice)
      if (!isAgain) throw error
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    }
  }
  return undefined
}

async function end(): Promise<void> {
  isEnding = true
  await machine?.close().catch(() => {})
  await member.close()
  process.exit(0)
}

process.on('message', (asked) => void answer(asked as never))
process.on('disconnect', () => process.exit(0))
// Ctrl-C goes to all processes of a terminal; the parent ends this one.
process.on('SIGINT', () => {})
try {
  const options = { ...memberOptions, files: disk.files, clock, random: nodeRandom }
  member = await quorum.Member.start(options)
} catch (error) {
  const { code, message, stack } = error as { code?: string; message: string; stack?: string }
  say({ number: 0, code: code ?? 'BUG', message: code === undefined ? stack : message })
  process.exit(0)
}
process.on('SIGTERM', () => void end())
member.on('failed', sayFailed)
for (const kind of ['damaged', 'repaired', 'lost'] as const) {
  member.on(kind, ({ log }) => say({ notice: 'damage', kind, log } satisfies DamageNotice))
}
say({ number: 0, answer: 'ready' })
await openLogs()
