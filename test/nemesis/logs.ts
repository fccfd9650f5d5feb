import type { ReplicatedLogOptions } from 'tidemark/quorum'

/** Small, so that there are many that are sealed. */
const segmentBytes = 64 * 1024

export const MACHINE = 'machine'

/** Two that keep everything, one that gives up what is old by itself, and one that is trimmed. */
export const LOGS = {
  a: { segmentBytes },
  b: { segmentBytes },
  c: { segmentBytes, retention: { maxBytes: 1024 * 1024 } },
  d: { segmentBytes },
  [MACHINE]: { segmentBytes },
} satisfies Record<string, ReplicatedLogOptions>

export type LogName = 'a' | 'b' | 'c' | 'd'
export const LOG_NAMES: readonly LogName[] = ['a', 'b', 'c', 'd']
export const TRIMMED_LOG: LogName = 'd'
