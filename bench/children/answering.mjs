/** Answers what the parent asks by calling the function of that name; ends, after `close`, when the parent lets go. */
export function answering(functions, close) {
  process.on('message', async ({ number, what, options }) => {
    try {
      process.send({ number, answer: await functions[what](options) })
    } catch (error) {
      process.send({ number, error: error.stack ?? String(error) })
    }
  })
  process.once('disconnect', async () => {
    try {
      await close()
    } finally {
      process.exit()
    }
  })
}
