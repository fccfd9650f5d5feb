// Opens a log in a process that has just begun, as after a crash, and says how long that took.
import { Log } from '../tidemark.mjs'

// Nobody waits for the answer any more.
process.once('disconnect', () => process.exit())
process.once('message', async ({ folder }) => {
  const begun = performance.now()
  const log = await Log.open(folder)
  const milliseconds = performance.now() - begun
  const { lowWaterMark, highWaterMark } = log
  await log.close()
  process.send({ milliseconds, lowWaterMark, highWaterMark }, () => process.disconnect())
})
