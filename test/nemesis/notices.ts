import type { Notice } from '../kill/quorum/process-handle.ts'

/** What a reader that follows a log has been given since it said so last. */
export interface SeenNotice extends Notice {
  readonly notice: 'seen'
  readonly log: string
  readonly entries: readonly (readonly [offset: number, name: string])[]
  readonly highWaterMark: number
  /** Another number for each reader of this life. */
  readonly reader: number
}

/** A replica has stopped, or could not be opened. */
export interface FailedNotice extends Notice {
  readonly notice: 'failed'
  readonly log: string
  readonly name: string
  readonly code: string | undefined
  readonly text: string
  /** It is tried again. */
  readonly isAgain: boolean
}

/** A member has met damage in a log, has got it back, or has begun its replica anew. */
export interface DamageNotice extends Notice {
  readonly notice: 'damage'
  readonly kind: 'damaged' | 'repaired' | 'lost'
  readonly log: string
}
