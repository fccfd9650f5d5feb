// A process of the ring: one member, its replica of a log, and a state machine on another. It does what the parent asks, over the
// channel between the two: node member-process.js FOLDER-OF-THE-BUILD OPTIONS
import type { StateMachine } from 'tidemark/machine'
import type { Member, MemberOptions, ReplicatedLog } from 'tidemark/quorum'
import { layersOf } from './layers.ts'
import { type Tally, tallyOf } from './tally.ts'

export interface ProcessOptions extends MemberOptions {
  /** State machines, each on a log of its own. */
  readonly machines: number
  /** Commands between two snapshots. */
  readonly snapshotEntries: number
}

/** What the processes can be asked for. */
export interface Asked {
  append: (asked: { values: string[] }) => Promise<{ first: number; last: number }>
  /** A linearizable read of at most so many entries. */
  read: (asked: { from: number; max: number }) => Promise<{
    entries: [number, string][]
    highWaterMark: number
  }>
  leads: (asked: object) => { role: string; term: number }
  execute: (asked: Execution) => Promise<number>
  openSession: (asked: { machine: number }) => Promise<string>
  state: (asked: { machine: number }) => Promise<Tally>
}

export interface Execution {
  readonly machine: number
  readonly command: string
  readonly session?: string
  readonly request?: number
}

const [build, text] = process.argv.slice(2)
const { machines, snapshotEntries, ...memberOptions } = JSON.parse(text!) as ProcessOptions
const { quorum, machines: layer } = await layersOf(build!)
const tally = tallyOf(snapshotEntries)

let member: Member
let log: ReplicatedLog<Buffer, Uint8Array | string>
const open: StateMachine<Tally, string, number>[] = []

const answers: Asked = {
  async append({ values }) {
    if (values.length > 1) return log.appendBatch(values)
    const first = await log.append(values[0]!)
    return { first, last: first }
  },
  async read({ from, max }) {
    await log.barrier()
    const { highWaterMark } = log
    const entries: [number, string][] = []
    for await (const { offset, data } of log.read({ from, to: highWaterMark })) {
      entries.push([offset, data.toString()])
      if (entries.length === max) break
    }
    return { entries, highWaterMark }
  },
  leads() {
    const { role, term } = log.status()
    return { role, term }
  },
  execute({ machine: number, command, ...session }) {
    return open[number]!.execute(command, session.session === undefined ? undefined : session)
  },
  async openSession({ machine: number }) {
    return (await open[number]!.openSession()).id
  },
  state: ({ machine: number }) => open[number]!.read((state) => state),
}

async function answer(asked: { number: number; what: keyof Asked; with: never }): Promise<void> {
  const { number, what } = asked
  try {
    say({ number, answer: await answers[what](asked.with) })
  } catch (error) {
    const { code = 'UNKNOWN', message } = error as { code?: string; message: string }
    say({ number, code, message })
  }
}

/** The parent may be gone. */
function say(message: object): void {
  if (process.connected) process.send!(message)
}

async function end(): Promise<void> {
  for (const one of open) await one.close()
  await member.close()
  process.exit(0)
}

process.on('message', (asked) => void answer(asked as never))
process.on('disconnect', () => process.exit(1))
member = await quorum.Member.start(memberOptions)
process.on('SIGTERM', () => void end())
log = await member.log('ring', { segmentBytes: 4 * 1024 * 1024 })
/** Each log has a leader to elect: one after the other takes long. */
const AT_ONCE = 16
let next = 0
async function openMachines(): Promise<void> {
  while (next < machines) {
    const i = next++
    const own = await member.log(`machine-${i}`)
    open[i] = await layer.StateMachine.open(own, tally)
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, openMachines))
say({ number: 0, answer: 'ready' })
