import type { KafkaLog, KafkaLogOptions } from '../kafka/index.ts'
import { Log, type LogOptions } from '../log/index.ts'
import { unlessInterrupted } from './interrupt.ts'
import { isKafkaAddress, kafkaLogOptions } from './kafka-address.ts'

export type FolderLog = Log<Buffer, Uint8Array | string>
export type PlainKafkaLog = KafkaLog<Buffer, Uint8Array | string>
export type PlainLog = FolderLog | PlainKafkaLog

/**
 * Opens the log in a folder, or the one on Kafka that `place` is the address of; the options are for the former. Rejects
 * as `Log.open`, `kafkaLogOptions` and {@link openKafkaLog} do.
 */
export async function openLog(
  place: string,
  options: LogOptions,
  interrupted: AbortSignal,
): Promise<PlainLog> {
  if (!isKafkaAddress(place)) return Log.open(place, options)
  const kafka = kafkaLogOptions(place)
  // Who only looks makes no topic.
  return openKafkaLog(
    options.mode === 'read' ? { ...kafka, create: undefined } : kafka,
    interrupted,
  )
}

/** Rejects as `KafkaLog.open` does, or with the signal's reason. */
export function openKafkaLog(
  options: KafkaLogOptions,
  interrupted: AbortSignal,
): Promise<PlainKafkaLog> {
  return unlessInterrupted(open(options), interrupted)
}

async function open(options: KafkaLogOptions): Promise<PlainKafkaLog> {
  // What stands behind it is not for logs in folders to pay for.
  const { KafkaLog } = await import('../kafka/index.ts')
  return KafkaLog.open(options)
}
