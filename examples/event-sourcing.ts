// Event sourcing: the balances are what the log says. A command is appended before it is executed, a restart
// executes what came behind the last snapshot, and a request that is asked again gets the answer it had.
//   node build/examples/event-sourcing.js ./bank
// Type requests, `<id> <account> <amount>`, such as `r1 ada 100` and `r2 ada -30`. Kill it with -9 at any
// moment, start it again, and repeat the last request: the amount is added once.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { json, Log } from 'tidemark'

interface Command {
  /** Chosen by whoever asks, the same when asking again. */
  readonly id: string
  readonly account: string
  readonly amount: number
}

interface State {
  readonly balances: Map<string, number>
  /** By id of the request. A real one forgets the old: docs/patterns.md, "Idempotent receiver". */
  readonly answers: Map<string, string>
}

const SNAPSHOT_EVERY = 4

/** Depends on the state and the command alone (no clock, no chance), so a replay comes to the same. */
function execute({ balances, answers }: State, { id, account, amount }: Command): string {
  const before = answers.get(id)
  if (before !== undefined) return `${before} (as before)`
  const balance = (balances.get(account) ?? 0) + amount
  const answer = balance < 0 ? 'refused' : `${account} has ${balance}`
  if (balance >= 0) balances.set(account, balance)
  answers.set(id, answer)
  return answer
}

async function loadSnapshot(log: Log<Command, Command>, offset: number): Promise<State> {
  const chunks: Uint8Array[] = []
  for await (const chunk of log.snapshots.read(offset)) chunks.push(chunk)
  const { balances, answers } = JSON.parse(Buffer.concat(chunks).toString())
  return { balances: new Map(balances), answers: new Map(answers) }
}

async function takeSnapshot(log: Log<Command, Command>, state: State): Promise<void> {
  const offset = log.highWaterMark
  const { balances, answers } = state
  const bytes = Buffer.from(JSON.stringify({ balances: [...balances], answers: [...answers] }))
  await log.snapshots.write(offset, [bytes])
  // In this order: at each moment there is a snapshot, and all entries behind it.
  await log.trim(offset)
  for (const older of await log.snapshots.list()) {
    if (older < offset) await log.snapshots.remove(older)
  }
  console.log(`snapshot before entry ${offset}`)
}

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'bank-'))
const log = await Log.open(folder, { codec: json<Command>() })
const newest = (await log.snapshots.list()).at(-1)
const state =
  newest === undefined
    ? { balances: new Map(), answers: new Map() }
    : await loadSnapshot(log, newest)
const from = newest ?? log.lowWaterMark
for await (const { data } of log.read({ from })) execute(state, data)
console.log(`snapshot before entry ${from}, ${log.highWaterMark - from} entries replayed`)

for await (const line of createInterface({ input: process.stdin })) {
  const [id = '', account = '', amount] = line.split(' ')
  const command = { id, account, amount: Number(amount) }
  if (!Number.isSafeInteger(command.amount)) {
    // What makes no sense is refused before it is in the log; what the state forbids is refused by it.
    console.log(`${id}: not a whole amount`)
    continue
  }
  await log.append(command)
  console.log(`${id}: ${execute(state, command)}`)
  if (log.highWaterMark % SNAPSHOT_EVERY === 0) await takeSnapshot(log, state)
}
console.log(Object.fromEntries(state.balances))
await log.close()
