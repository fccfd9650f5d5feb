import { Log, nodeFiles } from './tidemark.mjs'

/** The machine's files, counting the syncs that have come back. */
function countingFiles(counts) {
  const counted = (file) => ({
    readSync: (buffer, position) => file.readSync(buffer, position),
    read: (buffer, position) => file.read(buffer, position),
    writeSync: (buffer, position) => file.writeSync(buffer, position),
    write: (buffer, position) => file.write(buffer, position),
    truncateSync: (size) => file.truncateSync(size),
    datasyncSync: () => {
      file.datasyncSync()
      counts.syncs++
    },
    datasync: async () => {
      await file.datasync()
      counts.syncs++
    },
    sizeSync: () => file.sizeSync(),
    closeSync: () => file.closeSync(),
  })
  return { ...nodeFiles, openSync: (path, mode) => counted(nodeFiles.openSync(path, mode)) }
}

/**
 * Before anything is measured: every durable append that is awaited by itself has had its sync when it
 * resolves. Throws if it has not; figures without syncs would be worth nothing.
 */
export async function proveSyncs(folder) {
  const counts = { syncs: 0 }
  const log = await Log.open(folder, { files: countingFiles(counts) })
  const check = (before, what) => {
    if (counts.syncs > before) return
    throw new Error(
      `${what} came back without a sync: the figures would not be those of a durable log`,
    )
  }
  try {
    for (let i = 0; i < 20; i++) {
      let before = counts.syncs
      await log.append('one')
      check(before, 'append')
      before = counts.syncs
      log.appendSync('two')
      check(before, 'appendSync')
      before = counts.syncs
      await log.appendBatch(['three', 'four'])
      check(before, 'appendBatch')
    }
  } finally {
    await log.close()
  }
}
