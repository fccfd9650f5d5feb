import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Makes the file system finish what earlier rows have left it to do (freeing what was removed, above
 * all), so that the next row does not pay for it.
 */
export function flushJournal(folder) {
  const path = join(folder, 'flush')
  const fd = openSync(path, 'w')
  try {
    writeSync(fd, 'x')
    fsyncSync(fd)
  } finally {
    closeSync(fd)
    rmSync(path)
  }
}

/** Creates a file of `bytes` zeros that are really on the disk, opened for writing. */
export function preallocate(path, bytes) {
  const fd = openSync(path, 'wx+')
  const zeros = Buffer.alloc(2 ** 20)
  for (let at = 0; at < bytes; at += zeros.length) {
    writeSync(fd, zeros, 0, Math.min(zeros.length, bytes - at), at)
  }
  fsyncSync(fd)
  return fd
}
