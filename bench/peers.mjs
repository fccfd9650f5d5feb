import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

// The peers are no dependencies of the library: they are installed here, in a package of their own, when
// the benchmark first runs. Where that fails, the rows that need them say so.

const HERE = fileURLToPath(new URL('.', import.meta.url))
const { dependencies } = JSON.parse(readFileSync(join(HERE, 'package.json'), 'utf8'))
const require = createRequire(import.meta.url)

/** True if `name` is installed in the version that package.json asks for. */
function isInstalled(name) {
  const path = join(HERE, 'node_modules', name, 'package.json')
  return existsSync(path) && JSON.parse(readFileSync(path, 'utf8')).version === dependencies[name]
}

/** Installs what is missing. A failure is said and otherwise left for {@link loadPeer} to meet. */
export function installPeers(say) {
  const missing = Object.keys(dependencies).filter((name) => !isInstalled(name))
  if (missing.length === 0) return
  const list = missing.map((name) => `${name}@${dependencies[name]}`).join(', ')
  say(`installing ${list} in bench/ (better-sqlite3 may be compiled, which takes a minute)`)
  const { status, error } = spawnSync(
    'npm',
    ['install', '--no-audit', '--no-fund', '--no-package-lock'],
    { cwd: HERE, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' },
  )
  if (status !== 0) {
    say(
      `the installation failed (${error?.message ?? `exit ${status}`}): some peers will be missing`,
    )
  }
}

/** Thrown where a peer cannot be loaded; the message says why. */
export class PeerMissing extends Error {}

/** The module of a peer. Throws {@link PeerMissing}. */
export function loadPeer(name) {
  try {
    return require(name)
  } catch (error) {
    const [reason] = String(error.message ?? error).split('\n')
    throw new PeerMissing(`${name}: ${reason}`)
  }
}
