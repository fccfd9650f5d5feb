// Runs the tests on other versions of Node: `npm run nodes -- 22 24 26`, or some of them: `... 24 log/ quorum/`. Each is installed into a
// temporary folder from the package registry; one that cannot be had is skipped, and the reason printed.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const wanted = process.argv.slice(2).filter((word) => /^\d/.test(word))
const parts = process.argv.slice(2).filter((word) => !/^\d/.test(word))
const versions = wanted.length > 0 ? wanted : ['22', '24', '26']
let failed = 0

for (const version of versions) {
  const folder = mkdtempSync(join(tmpdir(), `tidemark-node-${version}-`))
  try {
    const args = [
      'install',
      '--prefix',
      folder,
      '--no-audit',
      '--no-fund',
      '--no-save',
      `node@${version}`,
    ]
    const install = spawnSync('npm', args, {
      encoding: 'utf8',
      shell: process.platform === 'win32',
    })
    const node = join(folder, 'node_modules', 'node', 'bin', 'node')
    if (install.status !== 0 || !existsSync(node)) {
      const reason = install.stderr.trim().split('\n').at(-1)
      process.stdout.write(`node ${version}: skipped, it cannot be installed here (${reason})\n`)
      continue
    }
    const name = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()
    process.stdout.write(`node ${name}: running the tests\n`)
    const { status } = spawnSync(node, ['scripts/test.mjs', '--test-reporter=dot', ...parts], {
      cwd: root,
      stdio: 'inherit',
    })
    process.stdout.write(`\nnode ${name}: ${status === 0 ? 'passed' : 'FAILED'}\n`)
    if (status !== 0) failed++
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
process.exitCode = failed > 0 ? 1 : 0
