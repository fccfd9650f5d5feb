// A writer that is killed: node writer-process.js BROKERS TOPIC NAME. It says on stdout what it sends (`+ number`) before it
// does, and what was acknowledged (`= number offset`).
import { writeSync } from 'node:fs'
import { KafkaLog } from 'tidemark/kafka'
import { valueFor } from './writers.ts'

const AT_A_TIME = 4
const [brokers = '', topic = '', name = ''] = process.argv.slice(2)
const log = await KafkaLog.open({ brokers, topic })
for (let number = 0; ; ) {
  const all: Promise<void>[] = []
  for (let i = 0; i < AT_A_TIME; i++) all.push(append(number++))
  await Promise.all(all)
}

async function append(number: number): Promise<void> {
  writeSync(1, `+ ${number}\n`)
  const offset = await log.append(valueFor(name, number))
  writeSync(1, `= ${number} ${offset}\n`)
}
