// What `import 'tidemark'` loads. Each module costs a fraction of a millisecond, so what only some programs
// need is loaded when it is asked for. `npm run bench -- --only=import` measures the time.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ROOT, type SourceTree, treeOf } from '../tidy/source-tree.ts'

const MODULES_MAX = 60
const ENTRY = 'dist/index.js'

/** The files that importing `entry` evaluates, and the modules of Node; not those that `import()` loads later. */
function loadedBy(entry: string, read: (path: string) => string): string[] {
  const loaded = new Set<string>()
  const visit = (path: string): void => {
    if (loaded.has(path)) return
    loaded.add(path)
    const tree: SourceTree = treeOf({ [path]: read(path) })
    for (const { specifier, target, isRuntime, isDynamic } of tree.get(path)!.imports) {
      if (!isRuntime || isDynamic) continue
      if (target === undefined) loaded.add(specifier)
      else visit(target)
    }
  }
  visit(entry)
  return [...loaded].sort()
}

describe('import of the library', () => {
  const loaded = loadedBy(ENTRY, (path) => readFileSync(join(ROOT, path), 'utf8'))
  const files = loaded.filter((path) => path.startsWith('dist/'))

  it('loads few files', (t) => {
    t.diagnostic(`${files.length} files`)
    assert.ok(files.includes('dist/log/log.js'))
    assert.ok(files.length <= MODULES_MAX, `${files.length} files:\n${files.join('\n')}`)
  })

  it('loads nothing of the layers simulation, testing and cli', () => {
    const strange = files.filter((path) => /^dist\/(simulation|testing|cli)\//.test(path))
    assert.deepEqual(strange, [])
  })

  it('loads no code that only a writer, a reader of another process, or an operator needs', () => {
    for (const name of ['backup', 'repair', 'tail-view', 'verify', 'writer', 'writing-side']) {
      assert.ok(!files.includes(`dist/log/${name}.js`), name)
    }
  })

  it('loads no package and no more of Node than it must', () => {
    const others = loaded.filter((path) => !path.startsWith('dist/'))
    assert.deepEqual(others, [
      'node:diagnostics_channel',
      'node:fs',
      'node:module',
      'node:os',
      'node:path',
      'node:zlib',
    ])
  })

  it('is followed through exports and not through import()', () => {
    const texts: Record<string, string> = {
      'dist/index.js': "export * from './a.js'\nconst b = () => import('./b.js')\n",
      'dist/a.js': "import './c.js'\nimport 'node:fs'\n",
      'dist/c.js': '',
    }
    assert.deepEqual(
      loadedBy(ENTRY, (path) => texts[path]!),
      ['dist/a.js', 'dist/c.js', 'dist/index.js', 'node:fs'],
    )
  })
})

describe('start of the command line', () => {
  it('loads nothing of the layers that only some commands need', () => {
    const files = loadedBy('dist/cli/main.js', (path) => readFileSync(join(ROOT, path), 'utf8'))
    assert.ok(files.includes('dist/cli/open-log.js'))
    assert.deepEqual(
      files.filter((path) => /^dist\/(kafka|quorum|protocol)\//.test(path)),
      [],
    )
  })
})
