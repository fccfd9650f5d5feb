import { invariant } from './errors.ts'

// Every maximum in the system, with its unit last in the name, and the relations between them.

export const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB

/** Offsets are JavaScript numbers; one more must still be exact. */
export const OFFSET_MAX = Number.MAX_SAFE_INTEGER - 1
export const TERM_MAX = 0xffff_ffff
/** Timestamps have 48 bits: milliseconds since 1970, to the year 10889. */
export const TIMESTAMP_MS_MAX = 2 ** 48 - 1

/** What an entry may hold unless the log is opened with another `maxEntryBytes`. */
export const ENTRY_BYTES_DEFAULT = 16 * MIB
/** What `maxEntryBytes` may be raised to. */
export const ENTRY_BYTES_MAX = 512 * MIB

export const SEGMENT_BYTES_DEFAULT = 64 * MIB
/** Small segments are for tests; a header and one small entry must fit. */
export const SEGMENT_BYTES_MIN = 512
export const SEGMENT_BYTES_MAX = GIB
/** Positions in a store have 32 bits; one group may overshoot the segment's size by a whole batch. */
export const STORE_BYTES_MAX = 2 ** 32 - 1
/** Offsets within a segment have 32 bits. */
export const SEGMENT_OFFSETS_MAX = 2 ** 32 - 1

/** One sparse index point for each so many bytes of store. */
export const INDEX_INTERVAL_BYTES_DEFAULT = 4 * KIB

/** Bytes that may wait for the disk before `append` rejects with OVERLOADED. */
export const PENDING_BYTES_DEFAULT = 64 * MIB
/** Entries read for `get` that are kept in memory. */
export const CACHE_BYTES_DEFAULT = 48 * MIB

/** A batch must fit in a store even when it is the only one in it. */
export const BATCH_BYTES_MAX = GIB

invariant(
  SEGMENT_BYTES_MAX + BATCH_BYTES_MAX < STORE_BYTES_MAX,
  'a batch fits behind a full segment',
)
invariant(ENTRY_BYTES_DEFAULT <= ENTRY_BYTES_MAX, 'the default entry is allowed')
invariant(ENTRY_BYTES_MAX < BATCH_BYTES_MAX, 'the largest entry is a batch')
invariant(SEGMENT_BYTES_DEFAULT <= SEGMENT_BYTES_MAX, 'the default segment is allowed')
