// The logs of state machines whose bytes are kept as golden files, and what is in them. As with the others,
// everything follows from a clock that stands still and a seeded source of random numbers.

import { Log } from 'tidemark'
import { DurableMap, type MachineOptions, PartitionedLog, StateMachine } from 'tidemark/machine'
import { seededRandom } from '#dist/io/index.js'
import { ForgetfulFiles, ManualClock } from '#dist/simulation/index.js'
import { FOLDER } from './specimens.ts'

export interface MachineSpecimen {
  readonly files: ForgetfulFiles
  /** The folder of the log. */
  readonly folder: string
}

interface Tools {
  readonly files: ForgetfulFiles
  readonly clock: ManualClock
  readonly random: ReturnType<typeof seededRandom>
}

function tools(seed: number): Tools {
  return { files: new ForgetfulFiles(), clock: new ManualClock(), random: seededRandom(seed) }
}

export const MAP_OPTIONS = { snapshot: false, trim: false, sessions: { requests: 2 } } as const

/** Every operation, a session of which a request was forgotten, records that end, and commands after a snapshot. */
export async function mapLog(): Promise<MachineSpecimen> {
  const { files, clock, random } = tools(31)
  const log = await Log.open(FOLDER, { files, clock, random })
  const map = await DurableMap.open(log, MAP_OPTIONS)
  await map.set('a', '1')
  await map.set('b', { deep: [2, null] })
  await clock.advance(10)
  const many = [
    ['c', 3],
    ['d', 'four'],
  ] as const
  await map.setMany(many, { ttlMs: 1000 })
  await map.delete('d')
  await map.compareAndSet('a', undefined, '2')
  await map.compareAndSet('a', '1', '2', { ttlMs: 100_000 })
  await clock.advance(10)
  const { id: session } = await map.openSession()
  await map.set('e', true, { session, request: 1 })
  await map.delete('nothing', { session, request: 2 })
  await map.compareAndSet('e', true, undefined, { session, request: 3 })
  await map.openSession()
  await clock.advance(10)
  await map.set('', 'the empty key')
  await map.snapshot()
  await map.set('f', [6], { ttlMs: 500, session, request: 4 })
  await map.set('ключ', 'значение')
  await map.delete('b')
  await clock.advance(2000)
  await map.set('last', 0)
  await map.close()
  await log.close()
  return { files, folder: FOLDER }
}

export interface Orders {
  open: Record<string, number>
}
export type Order =
  | { readonly kind: 'order'; readonly what: string; readonly count: number }
  | { readonly kind: 'forget' }

export const ORDERS: MachineOptions<Orders, Order, unknown, object> = {
  initial: () => ({ open: {} }),
  apply(state, command, { emit, offset }) {
    if (command.kind === 'forget') {
      state.open = {}
      return undefined
    }
    const { what, count } = command
    if (what === '') throw Object.assign(new RangeError('nothing'), { code: 'NOTHING' })
    if (count < 0) throw new Error(`${count} of ${what}`)
    for (let i = 0; i < count; i++) emit({ what, i })
    state.open[what] = offset
    return { what, offset }
  },
  snapshot: false,
  trim: false,
}

/** Events of which some were delivered, and a session with each kind of answer. */
export async function ordersLog(): Promise<MachineSpecimen> {
  const { files, clock, random } = tools(32)
  const log = await Log.open(FOLDER, { files, clock, random })
  const machine = await StateMachine.open(log, ORDERS)
  const order = (what: string, count: number): Order => ({ kind: 'order', what, count })
  await machine.execute(order('tea', 2))
  await clock.advance(10)
  const session = await machine.openSession()
  const ask = (command: Order, request: number) =>
    machine.execute(command, { session: session.id, request }).catch(() => {})
  await ask({ kind: 'forget' }, 1)
  await ask(order('', 1), 2)
  await ask(order('milk', -1), 3)
  await clock.advance(10)
  await ask(order('bread', 3), 5)
  await machine.delivered({ number: 2 })
  await log.append('not for the machine', { type: 200 })
  await machine.delivered({ number: 3 })
  await machine.snapshot()
  await machine.execute(order('salt', 1))
  await ask(order('oil', 0), 6)
  await machine.close()
  await log.close()
  return { files, folder: FOLDER }
}

/** The log of the number of partitions. */
export async function partitionsLog(): Promise<MachineSpecimen> {
  const { files, clock, random } = tools(33)
  const partitioned = await PartitionedLog.open('/data', { files, clock, random, partitions: 2 })
  await partitioned.close()
  return { files, folder: '/data/partitions' }
}

export const MACHINE_SPECIMENS = {
  map: mapLog,
  orders: ordersLog,
  partitions: partitionsLog,
} as const
