import { readFileSync, statfsSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'

/** The file system that `folder` lies on, as the kernel names it; its number where there is no name. */
function fileSystemOf(folder) {
  try {
    // mountinfo: id parent major:minor root MOUNT-POINT options ... - TYPE source options
    let found = { point: '', type: '' }
    for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
      const [left, right] = line.split(' - ')
      const point = left?.split(' ')[4]
      if (!point || !right) continue
      const isAbove = point === '/' || folder === point || folder.startsWith(`${point}/`)
      if (isAbove && point.length >= found.point.length) {
        found = { point, type: right.split(' ')[0] }
      }
    }
    if (found.type) return found.type
  } catch {
    // Not Linux.
  }
  return `type 0x${statfsSync(folder).type.toString(16)}`
}

/** What the figures were measured on. */
export function describeMachine(folder) {
  const cores = cpus()
  return {
    cpu: cores[0]?.model.trim() ?? 'unknown',
    cores: cores.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    fileSystem: fileSystemOf(folder),
    node: process.version,
    date: new Date().toISOString(),
  }
}

/** File systems in memory, where a sync costs nothing and says nothing. */
export function isInMemory(fileSystem) {
  return fileSystem === 'tmpfs' || fileSystem === 'ramfs'
}
