// Buffers for groups, shared by all logs of the process, so that a log which is idle keeps none.

const CAPACITY_MIN = 4096
const POOL_BYTES_MAX = 8 * 1024 * 1024

const pool: Buffer[] = []
let pooledBytes = 0

/** A buffer of at least {@link CAPACITY_MIN} bytes, with anything in it. */
export function takeBuffer(): Buffer {
  const buffer = pool.pop()
  if (!buffer) return Buffer.allocUnsafeSlow(CAPACITY_MIN)
  pooledBytes -= buffer.length
  return buffer
}

/** Gives a buffer back that nobody reads or writes any more. */
export function returnBuffer(buffer: Buffer): void {
  if (pooledBytes + buffer.length > POOL_BYTES_MAX) return
  pool.push(buffer)
  pooledBytes += buffer.length
}
