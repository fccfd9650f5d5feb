// One program, any engine: a small ledger of accounts, in a folder, or on Apache Kafka where KAFKA_BROKERS is set. Only
// `openLog` knows which. Run it several times, and see what it finds:
//   node build/examples/same-program.js ./accounts
//   KAFKA_BROKERS=127.0.0.1:9092 node build/examples/same-program.js ./snapshots
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CommitLog, Log } from 'tidemark'
import { KafkaLog } from 'tidemark/kafka'
import { StateMachine } from 'tidemark/machine'

/** The one place that says where the log is. On Kafka the folder is for snapshots. */
async function openLog(folder: string): Promise<CommitLog> {
  const { KAFKA_BROKERS: brokers, KAFKA_TOPIC: topic = 'accounts' } = process.env
  if (!brokers) return Log.open(folder)
  return KafkaLog.open({ brokers, topic, dir: folder, create: {} })
}

interface Transfer {
  readonly from: string
  readonly to: string
  readonly amount: number
}

/** Decides in the order of the log, with nobody beside it: whoever runs this program, wherever, agrees. */
function apply(balances: Record<string, number>, { from, to, amount }: Transfer): string {
  const has = balances[from] ?? 0
  if (from !== 'bank' && has < amount) throw new Error(`${from} has not got ${amount}`)
  balances[from] = has - amount
  balances[to] = (balances[to] ?? 0) + amount
  return `${from} gives ${to} ${amount}`
}

/** The program: it is given a log, and asks nothing of where that is. */
async function run(log: CommitLog): Promise<void> {
  // Others may read this log, from older snapshots: nothing is trimmed.
  const ledger = await StateMachine.open(log, { initial: () => ({}), apply, trim: false })
  const isNew = ledger.query((balances) => Object.keys(balances).length === 0)
  console.log(isNew ? 'a new ledger' : 'the ledger is there')
  if (isNew) console.log(await ledger.execute({ from: 'bank', to: 'ada', amount: 10 }))
  const asked = ledger.execute({ from: 'ada', to: 'grace', amount: 6 })
  console.log(await asked.catch((error: Error) => error.message))
  console.log(await ledger.read((balances) => JSON.stringify(balances)))
  console.log('a snapshot before offset', await ledger.snapshot())
  await ledger.close()
}

const log = await openLog(process.argv[2] ?? mkdtempSync(join(tmpdir(), 'accounts-')))
await run(log)
await log.close()
