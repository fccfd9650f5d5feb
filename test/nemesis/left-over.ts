import { after } from 'node:test'

const WITHIN_MS = 10_000

/** A test whose processes, sockets or timers outlive it fails, and says what they are, instead of running on. */
export function endsWithItsTests(): void {
  after(() => {
    const before = process.cpuUsage()
    const late = () => {
      const { user, system } = process.cpuUsage(before)
      const left = process.getActiveResourcesInfo().join(', ')
      const busy = Math.round((user + system) / 1000)
      console.error(`${WITHIN_MS} ms after the last test there is: ${left}; ${busy} ms busy since`)
      process.exit(1)
    }
    setTimeout(late, WITHIN_MS).unref()
  })
}
