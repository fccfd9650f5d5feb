// Everything a fresh clone needs before `npm start` or `npm test`: the pinned dependencies and a build.
// It says what it does, and does nothing that is already done.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const force = process.argv.includes('--force')
const tests = process.argv.includes('--tests')
const typescript = join(root, 'node_modules', 'typescript', 'bin', 'tsc')

function run(label, command, args) {
  process.stderr.write(`setup: ${label}\n`)
  const shell = process.platform === 'win32' && command === 'npm'
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell })
  if (error) throw error
  if (status !== 0) {
    process.stderr.write(`setup: ${label} failed (exit ${status})\n`)
    process.exit(1)
  }
}

/** The newest modification time, in ms, of the files under these paths. */
function newest(paths) {
  let latest = 0
  for (const path of paths) {
    const full = join(root, path)
    const stat = existsSync(full) ? statSync(full) : undefined
    if (stat?.isFile()) latest = Math.max(latest, stat.mtimeMs)
    if (!stat?.isDirectory()) continue
    for (const entry of readdirSync(full, { recursive: true, withFileTypes: true })) {
      if (entry.isFile())
        latest = Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs)
    }
  }
  return latest
}

function build(label, folder, sources, project, ...flags) {
  const stamp = join(root, folder, '.built')
  const builtAt = existsSync(stamp) ? statSync(stamp).mtimeMs : 0
  if (!force && builtAt > newest(sources)) return
  rmSync(join(root, folder), { recursive: true, force: true })
  run(label, process.execPath, [typescript, '-p', project, ...flags])
  mkdirSync(join(root, folder), { recursive: true })
  writeFileSync(stamp, '')
}

const lock = join(root, 'node_modules', '.package-lock.json')
const stale = !existsSync(lock) || statSync(lock).mtimeMs < newest(['package-lock.json'])
if (!existsSync(typescript) || stale) {
  run('npm ci (the pinned development tools)', 'npm', [
    'ci',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
  ])
}
const library = ['src', 'tsconfig.json', 'package.json']
build('tsc: src -> dist', 'dist', library, 'tsconfig.json')
if (tests) {
  build(
    'tsc: test, examples -> build',
    'build',
    [...library, 'test', 'examples'],
    'test/tsconfig.json',
    // `npm run check` checks their types: for a run it would take three times as long.
    '--noCheck',
  )
}
