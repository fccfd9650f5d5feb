import { TidemarkError } from '../base/index.ts'
import { diagnosticsChannel } from '../io/index.ts'

// What a log tells on the channels of `node:diagnostics_channel`, for whoever subscribes by their names.
// Messages are published when the thing has happened, and made only if somebody listens.

interface LogEvent {
  /** Absolute path of the log's folder. */
  readonly folder: string
}

/** The active store was synced. */
export interface SyncEvent extends LogEvent {
  /** How long it took, in ms. */
  readonly ms: number
  /** Every entry below is on the disk. */
  readonly syncedMark: number
}

/** A segment was sealed and the next one begun. */
export interface RollEvent extends LogEvent {
  /** File name of the store that was sealed. */
  readonly sealed: string
  /** Its size. */
  readonly bytes: number
  /** File name of the new active store. */
  readonly active: string
  /** Offset of the first entry that will be in it. */
  readonly base: number
}

/** A log was opened for writing. */
export interface RecoveryEvent extends LogEvent {
  /** How long it took, in ms. */
  readonly ms: number
  /** Bytes of entries that were read through and kept; 0 if the last writer had closed the log. */
  readonly recoveredBytes: number
  /** Bytes of a torn end that were cut off. */
  readonly tornBytes: number
  readonly lowWaterMark: number
  readonly highWaterMark: number
}

/** Something that was safe is not sound: on opening, by a read, or a cursor's file. */
export interface DamageEvent extends LogEvent {
  /** The damaged file, relative to the folder, where it is known. */
  readonly file: string | undefined
  readonly position: number | undefined
  /** First offset that cannot be read. */
  readonly offset: number | undefined
  readonly message: string
}

/** A sync has failed: nothing more is written until the log is opened again. */
export interface PoisonEvent extends LogEvent {
  readonly error: TidemarkError
}

/** The low-water mark was raised. */
export interface TrimEvent extends LogEvent {
  /** The mark before. */
  readonly from: number
  readonly lowWaterMark: number
  /** Segments that were removed. */
  readonly segments: number
  /** Bytes of their stores. */
  readonly bytes: number
}

/** The messages by the names of their channels. */
export interface LogEvents {
  readonly 'tidemark:sync': SyncEvent
  readonly 'tidemark:roll': RollEvent
  readonly 'tidemark:recovery': RecoveryEvent
  readonly 'tidemark:damage': DamageEvent
  readonly 'tidemark:poison': PoisonEvent
  readonly 'tidemark:trim': TrimEvent
}

export const syncChannel = diagnosticsChannel<SyncEvent>('tidemark:sync')
export const rollChannel = diagnosticsChannel<RollEvent>('tidemark:roll')
export const recoveryChannel = diagnosticsChannel<RecoveryEvent>('tidemark:recovery')
export const damageChannel = diagnosticsChannel<DamageEvent>('tidemark:damage')
export const poisonChannel = diagnosticsChannel<PoisonEvent>('tidemark:poison')
export const trimChannel = diagnosticsChannel<TrimEvent>('tidemark:trim')

/** Tells of damage if that is what the error is. Returns whether it is. */
export function tellDamage(folder: string, error: unknown): boolean {
  if (!(error instanceof TidemarkError) || error.code !== 'CORRUPT') return false
  if (damageChannel.hasSubscribers) {
    const { file, position, offset } = error.details
    damageChannel.publish({ folder, file, position, offset, message: error.message })
  }
  return true
}
