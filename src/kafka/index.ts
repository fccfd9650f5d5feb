/// <reference types="node" preserve="true" />
// The engine on Apache Kafka: `tidemark/kafka`.
export { KafkaLog, type KafkaStatus } from './kafka-log.ts'
export type { KafkaLogOptions, KafkaSasl, KafkaTls, KafkaTopicDesign } from './kafka-options.ts'
export {
  type MirrorEnd,
  type MirrorOptions,
  type MirrorProgress,
  type MirrorReport,
  mirrorLog,
} from './mirror.ts'
