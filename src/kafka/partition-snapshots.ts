import { join } from 'node:path'
import { TidemarkError } from '../base/index.ts'
import { FolderSnapshots, type Snapshots } from '../log/index.ts'
import type { KafkaSettings } from './kafka-options.ts'
import type { PartitionFacts } from './topic-facts.ts'

/**
 * The snapshots of a partition in a folder of this machine. Its name has the topic's id: of a topic that was deleted and made
 * again, offsets mean something else.
 */
export function snapshotsIn(
  dir: string,
  settings: KafkaSettings,
  { clusterId, topicId }: PartitionFacts,
  rules: { checkOpen(): void; highWaterMark(): number },
): Snapshots {
  const cluster = clusterId.replaceAll(/[^\w-]/g, '_')
  // The id alone would do; the name is for people, and file systems do not take one of any length.
  const topic = settings.topic.slice(0, 100)
  const name = `${topic}-${settings.partition}.${cluster}.${topicId}`
  return new FolderSnapshots(settings, join(dir, name), {
    checkReadable: () => rules.checkOpen(),
    checkWritable: () => rules.checkOpen(),
    offsetMax: () => rules.highWaterMark(),
    // What lies below the high-water mark is safe with the brokers.
    makeDurable: async () => {},
  })
}

/** Where no folder is given there are none, and none can be made. */
export function noSnapshots(checkOpen: () => void): Snapshots {
  const missing = 'there is no folder for snapshots: open the log with { dir }'
  const absent = (): never[] => {
    throw new TidemarkError('NOT_FOUND', missing)
  }
  return {
    list: async () => {
      checkOpen()
      return []
    },
    write: async () => {
      checkOpen()
      throw new TidemarkError('INVALID_ARGUMENT', missing)
    },
    async *read() {
      checkOpen()
      yield* absent()
    },
    remove: async () => checkOpen(),
  }
}
