// What npm is told about the package, and what it installs with it.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ROOT } from '../tidy/source-tree.ts'

interface Manifest {
  readonly files: readonly string[]
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly [kind: string]: unknown
}

interface Locked {
  readonly hasInstallScript?: boolean
  readonly version?: string
}

const read = (name: string): unknown => JSON.parse(readFileSync(join(ROOT, name), 'utf8'))
const manifest = read('package.json') as Manifest
const { packages } = read('package-lock.json') as { packages: Record<string, Locked> }

/** The packages of a lock file that run a script of their own when they are installed. */
function withInstallScripts(locked: Readonly<Record<string, Locked>>): string[] {
  return Object.entries(locked).flatMap(([path, { hasInstallScript }]) => {
    return hasInstallScript ? [path] : []
  })
}

describe('the package', () => {
  it('requires no other', () => {
    assert.deepEqual(manifest.dependencies ?? {}, {})
  })

  it('has no install script, and nothing that it is built with has one', () => {
    const own = ['preinstall', 'install', 'postinstall', 'prepare'].filter(
      (s) => s in manifest.scripts,
    )
    assert.deepEqual(own, [])
    assert.ok(Object.keys(packages).length > 5, 'the lock file is empty')
    assert.deepEqual(withInstallScripts(packages), [])
    assert.deepEqual(withInstallScripts({ a: { hasInstallScript: true }, b: {} }), ['a'])
  })

  it('pins every version', () => {
    for (const kind of ['devDependencies', 'optionalDependencies']) {
      for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
        assert.match(version as string, /^\d+\.\d+\.\d+$/, name)
      }
    }
  })

  it('takes a peer that the program has, from the first version of each major that is tested', () => {
    const peers = Object.entries(manifest.peerDependencies ?? {})
    assert.deepEqual(peers, [['@platformatic/kafka', '^1.35.0 || ^2.12.1']])
    const { version } = packages['node_modules/@platformatic/kafka']!
    assert.equal(version, '1.35.0')
  })

  it('ships files that are there', () => {
    for (const name of manifest.files) assert.ok(existsSync(join(ROOT, name)), name)
  })
})
