import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { PeerMissing } from '../peers.mjs'

/** Where a program is; Debian has servers where not everybody looks. Throws {@link PeerMissing}. */
export function findProgram(name) {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']) {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return join(folder, name)
    } catch {
      // Not there.
    }
  }
  throw new PeerMissing(`there is no ${name} on this machine`)
}

/** Calls `work` until it succeeds: servers take a while to find each other. */
export async function insist(work, what) {
  const end = performance.now() + 30_000
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (performance.now() > end) throw new Error(`${what}: ${error.message}`)
      await new Promise((done) => setTimeout(done, 200))
    }
  }
}
