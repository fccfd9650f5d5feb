import type { KafkaStatus } from '../../kafka/index.ts'
import { inspectLog, type LogInfo } from '../../log/index.ts'
import type { Arguments } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE } from '../command.ts'
import { columns, count, size } from '../format.ts'
import { isKafkaAddress, kafkaLogOptions } from '../kafka-address.ts'
import { kafkaStatusJson, kafkaStatusText } from '../kafka-status.ts'
import { openKafkaLog } from '../open-log.ts'

function writerText({ hasWriter, writerPid }: LogInfo): string {
  if (!hasWriter) return 'none'
  return writerPid === undefined ? 'there is one' : `process ${writerPid}`
}

function cleanText({ isClean, hasWriter }: LogInfo): string {
  if (isClean) return 'yes'
  return hasWriter ? 'not yet: it is being written' : 'no: the next writer recovers it'
}

function asText(info: LogInfo): string {
  return columns([
    ['log', info.folder],
    ['low-water mark', String(info.lowWaterMark)],
    ['high-water mark', String(info.highWaterMark)],
    ['entries', count(info.entries)],
    ['bytes', info.bytes < 1024 ? count(info.bytes) : `${count(info.bytes)} (${size(info.bytes)})`],
    ['segments', count(info.segments)],
    ['writer', writerText(info)],
    ['closed cleanly', cleanText(info)],
  ])
}

/** `writer` is the process id, null if there is no writer, and true if it has no known id. */
function asJson(info: LogInfo): string {
  const { folder, lowWaterMark, highWaterMark, entries, bytes, segments } = info
  const writer = info.hasWriter ? (info.writerPid ?? true) : null
  const facts = { folder, lowWaterMark, highWaterMark, entries, bytes, segments, writer }
  return `${JSON.stringify({ ...facts, clean: info.isClean })}\n`
}

async function kafkaStatus(address: string, interrupted: AbortSignal): Promise<KafkaStatus> {
  const options = { ...kafkaLogOptions(address), create: undefined }
  const log = await openKafkaLog(options, interrupted)
  try {
    return await log.status()
  } finally {
    await log.close()
  }
}

async function run(args: Arguments, { out, interrupted }: Context): Promise<number> {
  const place = args.positional('log')
  if (isKafkaAddress(place)) {
    const status = await kafkaStatus(place, interrupted)
    out.write(args.flag('json') ? kafkaStatusJson(status) : kafkaStatusText(status))
    return EXIT_DONE
  }
  const info = await inspectLog(place)
  out.write(args.flag('json') ? asJson(info) : asText(info))
  return EXIT_DONE
}

export const info: Command = {
  name: 'info',
  summary: 'show the marks, the size, and who writes',
  details: [
    'Entries from the low-water mark up to, not including, the high-water mark can be read.',
    'Of a log on Kafka it shows who keeps it, and what that promises. An offset of it may have no entry.',
    'Changes nothing and disturbs nobody. verify is the one that reads everything.',
  ],
  positionals: [
    { name: 'log', isAddress: true, help: 'the folder of the log, or its address on Kafka' },
  ],
  options: {
    json: {
      help: 'one object: folder, lowWaterMark, highWaterMark, entries, bytes, segments, writer (process id or null), clean; of a log on Kafka: cluster, topic, topicId, partition, leader (id, host, port, or null), term, replicas, inSync, minInsyncReplicas, cleanupPolicy (null if they may not be read), lowWaterMark, highWaterMark',
    },
  },
  examples: [
    'tidemark info ./orders',
    'tidemark info ./orders --json | jq .highWaterMark',
    "tidemark info 'kafka://writer@kafka1:9093/orders?tls=true&sasl=scram-sha-512'",
  ],
  run,
}
