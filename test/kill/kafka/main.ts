// What `npm run kill -- --kafka` and `-- --mirror` run, and what they print.
import { kafkaUnavailable } from '../../kafka/apache-kafka.ts'
import { mirrorRing } from './mirror-ring.ts'
import { type KafkaRingResult, kafkaRing } from './ring.ts'

export interface MainOptions {
  readonly folder: string
  readonly seed: number
  readonly ms: number
  readonly json: boolean
}

/** Resolves with whether every promise was kept; also where there is no Kafka, and says so. */
export async function ringOfKafka({ folder, seed, ms, json }: MainOptions): Promise<boolean> {
  process.env.TIDEMARK_KAFKA = '1'
  const reason = kafkaUnavailable()
  if (reason !== undefined) {
    console.log(`skipped: no Apache Kafka here: ${reason}`)
    return true
  }
  const result = await kafkaRing({
    folder,
    seed,
    ms,
    onDown: (what, acknowledged) => {
      if (!json) console.log(`${what}; ${acknowledged} acknowledged`)
    },
  })
  console.log(json ? JSON.stringify({ seed, ...result }) : described(result))
  return result.faults.length === 0
}

export function described(result: KafkaRingResult): string {
  const { acknowledged, unavailable, uncertain, kept, entries, lost, twice, kills, pauses } = result
  const codes = Object.entries(result.codes).map(([code, count]) => `${code} ${count}`)
  return [
    ...result.faults.slice(0, 20).map((fault) => `FAULT: ${fault}`),
    `${kills} brokers and ${result.writersKilled} writers killed, ${pauses} brokers paused: ${acknowledged} appends acknowledged, ${unavailable} unavailable, ${uncertain} uncertain; ${entries} entries, ${kept} of them with no answer, ${lost} lost, ${twice} twice`,
    `${result.appendsPerSecond.toFixed(0)} appends/s, ${result.longestGapMs.toFixed(0)} ms at most without an acknowledgement`,
    `maps: ${result.requests} requests, ${result.retries} asked again, reopened ${result.reopened} times`,
    `met: ${codes.join(', ') || 'nothing'}`,
    result.faults.length === 0 ? 'all promises kept' : `${result.faults.length} FAULTS`,
  ].join('\n')
}

/** Kills mirrors both ways between folders and a topic. Throws if what they copied is not the same. */
export async function ringOfMirrors(asked: {
  readonly entries: number
  readonly kills: number
  readonly seed: number
  readonly json: boolean
}): Promise<void> {
  const { entries, kills, seed, json } = asked
  process.env.TIDEMARK_KAFKA = '1'
  const reason = kafkaUnavailable()
  if (reason !== undefined) {
    console.log(`skipped: no Apache Kafka here: ${reason}`)
    return
  }
  const report = await mirrorRing({ entries, kills, brokers: 1, seed })
  if (json) console.log(JSON.stringify({ entries, seed, ...report }))
  else {
    console.log(
      `${entries} entries there and back, ${report.kills} mirrors killed, ${report.seconds} s: nothing missing, nothing twice`,
    )
  }
}
