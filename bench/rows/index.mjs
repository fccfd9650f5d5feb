/** The rows in the order of the table: their names, and the modules that measure them. */
const ROWS = {
  append: 'append.mjs',
  'append-sync': 'append-sync.mjs',
  'writers-256': 'writers-256.mjs',
  'batch-256': 'batch-256.mjs',
  'large-entries': 'large-entries.mjs',
  unsynced: 'unsynced.mjs',
  'scan-batches': 'scan-batches.mjs',
  'scan-for-await': 'scan-for-await.mjs',
  get: 'get.mjs',
  'open-killed': 'open-killed.mjs',
  'open-killed-unsynced': 'open-killed-unsynced.mjs',
  'open-1000': 'open-1000.mjs',
  import: 'import.mjs',
  memory: 'memory.mjs',
  'map-set': 'map-set.mjs',
  'map-reopen': 'map-reopen.mjs',
  'map-pause': 'map-pause.mjs',
  'map-memory': 'map-memory.mjs',
  'map-20m': 'map-20m.mjs',
  'quorum-follower-1': 'quorum.mjs',
  'quorum-follower-256': 'quorum.mjs',
  'quorum-leader-1': 'quorum.mjs',
  'quorum-leader-256': 'quorum.mjs',
  'quorum-idle-load': 'quorum-idle.mjs',
  'quorum-idle-memory': 'quorum-idle.mjs',
  'quorum-make': 'quorum-idle.mjs',
  'kafka-mirror-in': 'kafka.mjs',
  'kafka-mirror-out': 'kafka.mjs',
  'kafka-append-1': 'kafka.mjs',
  'kafka-append-256': 'kafka.mjs',
  'kafka-three-1': 'kafka.mjs',
  'kafka-three-256': 'kafka.mjs',
  'core-1-steps': 'core.mjs',
  'core-1-entries': 'core.mjs',
  'core-1-cost': 'core.mjs',
  'core-1-leader': 'core.mjs',
  'core-1-follower': 'core.mjs',
  'core-256-steps': 'core.mjs',
  'core-256-entries': 'core.mjs',
  'core-256-cost': 'core.mjs',
  'core-256-leader': 'core.mjs',
  'core-256-follower': 'core.mjs',
}

export const ROW_NAMES = Object.keys(ROWS)

/** The rows that a word means: the one of that name, or all whose names begin with it. */
export function rowsNamed(word) {
  if (word in ROWS) return [word]
  return ROW_NAMES.filter((name) => name.startsWith(`${word}-`))
}

/** True if a row has neither files nor peers. */
export function isInMemory(name) {
  return ROWS[name] === 'core.mjs'
}

/**
 * A row: `name`, `title`, `unit`, an optional `note`, `contestants`, and `bars`.
 *
 * A contestant has a `name` and `prepare(folder, context)`, which returns `measure()`, one run that
 * resolves with a figure in the row's unit, and `close()`. A bar is `atMost`, `below` or `atLeast`,
 * either of Tidemark's ratio to the contestant `against`, or absolute; one
 * that has `without` counts only where that contestant is missing. A module has one `row`, or `rows` by name.
 */
export async function loadRow(name) {
  const { row, rows } = await import(`./${ROWS[name]}`)
  return { name, ...(row ?? rows[name]) }
}
