// The run is ended at every operation on its files, by the end of the process and by losses of power: with
// an outbox the events that were delivered are those of the commands in the state; with two writes they are not.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type MachineEvent, StateMachine } from 'tidemark/machine'
import { cloneAll, crashImage, extremeImages, ForgetfulFiles, seededRandom } from 'tidemark/testing'
import { openOn, textsOf } from '../log/fixtures.ts'

const COMMANDS = ['tea', 'milk', 'salt', 'rice', 'oats']
const EXTREMES = 6

/** What is left of the program's files, and what the receiver had by then: it is elsewhere, and lives on. */
interface Left {
  readonly files: ForgetfulFiles
  readonly received: readonly Received[]
}

interface Received {
  readonly id: string
  readonly event: string
}

type Machine = StateMachine<string[], string, void, string>

/** Emits two events for each command, so that a delivery can stop between them. */
function openMachine(log: Awaited<ReturnType<typeof openOn>>): Promise<Machine> {
  return StateMachine.open(log, {
    initial: (): string[] => [],
    apply(orders, order: string, { emit }) {
      orders.push(order)
      for (const event of eventsOf(order)) emit(event)
    },
    snapshot: { entries: 4 },
  })
}

function eventsOf(order: string): string[] {
  return [`pack ${order}`, `mail ${order}`]
}

async function deliver(machine: Machine, received: Received[], most: number): Promise<void> {
  let left = Math.min(most, machine.pendingEvents)
  if (left === 0) return
  for await (const sent of machine.events()) {
    const { number, event }: MachineEvent<string> = sent
    received.push({ id: String(number), event })
    await machine.delivered(sent)
    if (--left === 0) return
  }
}

/** Executes the commands and delivers, one event behind. */
async function withOutbox(files: ForgetfulFiles, received: Received[]): Promise<void> {
  const log = await openOn(files, { segmentBytes: 512 })
  const machine = await openMachine(log)
  for (const order of COMMANDS) {
    await machine.execute(order)
    await deliver(machine, received, 2)
  }
  await machine.close()
  await log.close()
}

async function withTwoWrites(files: ForgetfulFiles, received: Received[]): Promise<void> {
  const log = await openOn(files, { segmentBytes: 512 })
  for (const order of COMMANDS) {
    const offset = await log.append(order)
    for (const [index, event] of eventsOf(order).entries()) {
      received.push({ id: `${offset}.${index}`, event })
    }
  }
  await log.close()
}

/** Runs it, and collects what a crash before each of its operations leaves, each once. */
async function crashesOf(
  run: (files: ForgetfulFiles, received: Received[]) => Promise<void>,
): Promise<Left[]> {
  const files = new ForgetfulFiles()
  const random = seededRandom(1)
  const received: Received[] = []
  const all = new Map<string, Left>()
  const take = (name: string, left: ForgetfulFiles) => {
    const key = `${name} ${received.length}`
    if (!all.has(key)) all.set(key, { files: left, received: [...received] })
  }
  let operation = 0
  files.onOperation = () => {
    take(`killed ${operation++}`, cloneAll(files))
    const images = [...extremeImages(files, EXTREMES), crashImage(files, random)]
    for (const image of images) take(String(image.fingerprint), image.files)
  }
  await run(files, received)
  files.onOperation = undefined
  take('ended', cloneAll(files))
  return [...all.values()]
}

/** What the receiver makes of it: each event once, however often it came. */
function eachOnce(received: readonly Received[]): string[] {
  return [...new Map(received.map(({ id, event }) => [id, event])).values()]
}

describe('an outbox', () => {
  it('has delivered the events of the state, after a crash at any operation', async (t) => {
    const crashes = await crashesOf(withOutbox)
    let repeated = 0
    let recovered = 0
    for (const { files, received } of crashes) {
      const all = [...received]
      const log = await openOn(files, { segmentBytes: 512 })
      const machine = await openMachine(log)
      await deliver(machine, all, Number.POSITIVE_INFINITY)
      const orders = machine.query((state) => [...state])
      assert.deepEqual(orders, COMMANDS.slice(0, orders.length))
      assert.deepEqual(eachOnce(all), orders.flatMap(eventsOf))
      // The same id is the same event, also when it comes again.
      for (const { id, event } of all) {
        assert(all.every((other) => other.id !== id || other.event === event))
      }
      if (all.length > eachOnce(all).length) repeated++
      if (all.length > received.length) recovered++
      assert.equal(machine.pendingEvents, 0)
      await machine.close()
      await log.close()
    }
    t.diagnostic(`${crashes.length} crashes, ${recovered} with events left, ${repeated} repeated`)
    assert(crashes.length > 200)
    // Otherwise the crashes were not where they matter.
    assert(recovered > 20 && repeated > 20)
  })

  it('is needed: two writes lose events or orders', async (t) => {
    let different = 0
    const crashes = await crashesOf(withTwoWrites)
    for (const { files, received } of crashes) {
      const log = await openOn(files, { segmentBytes: 512 })
      const orders = await textsOf(log)
      if (eachOnce(received).join() !== orders.flatMap(eventsOf).join()) different++
      await log.close()
    }
    t.diagnostic(`${different} of ${crashes.length} crashes leave a difference`)
    assert(different > 0)
  })
})
