// An order service that sends a mail for each order, twice: as two writes, one after the other, and with an
// outbox. Each is stopped at every step, as a crash would stop it, and started again. Then there should be
// a mail for each order that is kept, and none for another.
//   node build/examples/outbox.js
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Log, text } from 'tidemark'
import { StateMachine } from 'tidemark/machine'

const ORDERS = ['tea', 'milk']

/** Ends a run at one of its steps. */
class Stop extends Error {}

/** Called between any two things that a program does; throws where the crash is. */
type Step = (after: string) => void

/** Whoever gets the mails: another machine, which lives on. What it has, it knows by its number. */
class Mailbox {
  readonly mails = new Map<string, string>()
  repeated = 0

  receive(id: string, mail: string): void {
    if (this.mails.has(id)) this.repeated++
    this.mails.set(id, mail)
  }
}

/** A way to do it: `run` places the orders, `restart` is what a new process does, and says what orders it has. */
interface Way {
  run(log: Log, mailbox: Mailbox, step: Step): Promise<void>
  restart(log: Log, mailbox: Mailbox): Promise<string[]>
}

/** Writes the order, then sends the mail. The other way round there would be mails without orders. */
const twoWrites: Way = {
  async run(log, mailbox, step) {
    for (const order of ORDERS) {
      step('nothing')
      const offset = await log.append(order)
      step('the order was written')
      mailbox.receive(String(offset), `your ${order}`)
      step('the mail was sent')
    }
  },
  async restart(log) {
    const orders: string[] = []
    for await (const { data } of log.read()) orders.push(text.decode(data))
    return orders // for which of them was a mail sent? Nobody knows
  },
}

function openMachine(log: Log): Promise<StateMachine<string[], string, void, string>> {
  return StateMachine.open(log, {
    initial: (): string[] => [],
    apply(orders, order: string, { emit }) {
      orders.push(order)
      emit(`your ${order}`)
    },
  })
}

type Machine = Awaited<ReturnType<typeof openMachine>>

/** Sends what is in the outbox. */
async function deliver(machine: Machine, mailbox: Mailbox, step: Step): Promise<void> {
  if (machine.pendingEvents === 0) return
  for await (const { number, event } of machine.events()) {
    mailbox.receive(String(number), event)
    step('the mail was sent')
    await machine.delivered({ number })
    step('the delivery was noted')
    if (machine.pendingEvents === 0) return
  }
}

/** One write: the order, and that a mail is to be sent, are the same entry of the log. */
const outbox: Way = {
  async run(log, mailbox, step) {
    const machine = await openMachine(log)
    for (const order of ORDERS) {
      step('nothing')
      await machine.execute(order)
      step('the order was written')
      await deliver(machine, mailbox, step)
    }
  },
  async restart(log, mailbox) {
    const machine = await openMachine(log)
    await deliver(machine, mailbox, () => {})
    const orders = machine.query((state) => [...state])
    await machine.close()
    return orders
  },
}

/** Runs it to the step with the given number and starts it again; prints a row. False: there is no such step. */
async function row(way: Way, number: number, folder: string): Promise<boolean> {
  const mailbox = new Mailbox()
  let at = 0
  const step: Step = (after) => {
    if (at++ === number) throw new Stop(after)
  }
  const log = await Log.open(folder)
  const stop = await way.run(log, mailbox, step).catch((error: unknown) => error)
  await log.close()
  if (stop === undefined) return false
  if (!(stop instanceof Stop)) throw stop

  const again = await Log.open(folder)
  const orders = await way.restart(again, mailbox)
  await again.close()
  const mails = [...mailbox.mails.values()]
  const isRight = orders.map((order) => `your ${order}`).join() === mails.join()
  const twice = mailbox.repeated > 0 ? ', one came twice' : ''
  const counts = `${orders.length} orders, ${mails.length} mails${twice}`
  console.log(`  ${stop.message.padEnd(24)}${(isRight ? 'right' : 'WRONG').padEnd(7)}${counts}`)
  return true
}

const parent = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'outbox-'))
for (const [name, way] of Object.entries({ 'two writes': twoWrites, 'an outbox': outbox })) {
  console.log(`${name}, stopped after`)
  for (let number = 0, isThere = true; isThere; number++) {
    const folder = join(parent, `${name.replace(' ', '-')}-${number}`)
    isThere = await row(way, number, folder)
    rmSync(folder, { recursive: true })
  }
}
