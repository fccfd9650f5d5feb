// A whole service: commands, snapshots, mails that leave for each order, and a stop that loses nothing.
//   node build/examples/service.js ./orders
// Type orders such as `ada 3`. Stop it with Ctrl-D or SIGTERM, or kill it with -9, and start it again: no
// order is lost, and for each there is a mail. After a kill the last one may come twice.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Log } from 'tidemark'
import { type Context, StateMachine } from 'tidemark/machine'

interface Order {
  readonly who: string
  readonly count: number
}

interface State {
  stock: number
  orders: number
}

/** Depends on its arguments alone, so that each replay comes to the same. */
function apply(state: State, { who, count }: Order, { emit }: Context<string>): string {
  if (count > state.stock) throw new Error(`only ${state.stock} are left`)
  state.stock -= count
  state.orders++
  emit(`to ${who}: your ${count} are on the way`)
  return `order ${state.orders}, ${state.stock} are left`
}

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'orders-'))
const log = await Log.open(folder)
const machine = await StateMachine.open(log, {
  initial: (): State => ({ stock: 10, orders: 0 }),
  apply,
  snapshot: { entries: 10_000 }, // and trim the log to the one before
})
console.log(
  `${machine.query(({ orders }) => orders)} orders, ${machine.pendingEvents} mails to send`,
)

const input = createInterface({ input: process.stdin })
process.once('SIGTERM', () => input.close())
const stop = new AbortController()

async function sendMails(): Promise<void> {
  for await (const { number, event } of machine.events({ signal: stop.signal })) {
    // Send it here, with its number, by which a receiver can ignore a repetition.
    console.log(`mail ${event}`)
    await machine.delivered({ number })
  }
}

const sending = sendMails().catch((error) => {
  if (stop.signal.aborted) return
  // What it was is told at the end; nothing is lost meanwhile.
  input.close()
  throw error
})
sending.catch(() => {})

for await (const line of input) {
  const [who = '', count] = line.split(' ')
  const order = { who, count: Number(count) }
  // What makes no sense is refused before it is in the log; what the state forbids is refused by it.
  if (!(Number.isSafeInteger(order.count) && order.count > 0)) console.log('not a count')
  else console.log(await machine.execute(order).catch((error: Error) => error.message))
}

stop.abort()
try {
  await sending
  await machine.snapshot() // the next start has nothing to replay
} finally {
  await machine.close()
  await log.close()
}
console.log('stopped')
process.stdin.destroy() // else it would wait for more
