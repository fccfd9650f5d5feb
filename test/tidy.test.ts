import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  cycleViolations,
  functionViolations,
  headingViolations,
  layerViolations,
  nameViolations,
  orphanViolations,
  purityViolations,
  sizeViolations,
  typeViolations,
  unfinishedViolations,
  waitingViolations,
} from './tidy/rules.ts'
import { ROOT, readTexts, readTree, treeOf, type Violation } from './tidy/source-tree.ts'

const CODE = ['.ts', '.mjs', '.js']
const SOURCE_FILES_MIN = 60

const source = readTree(['src'], ['.ts'])
const all = readTree(['src', 'test', 'scripts', 'bench', 'examples'], CODE)

function none(violations: readonly Violation[]): void {
  const lines = violations.map(({ path, line, problem }) => `${path}:${line}: ${problem}`)
  assert.deepEqual(lines, [])
}

/** Entry points as package.json names them. */
function entryPoints(): string[] {
  const { exports, bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    exports: Record<string, string | { default: string }>
    bin: Record<string, string>
  }
  const targets = [...Object.values(exports), ...Object.values(bin)].map((target) =>
    typeof target === 'string' ? target : target.default,
  )
  return targets
    .filter((target) => target.endsWith('.js'))
    .map((target) => target.replace(/^\.\/dist\//, 'src/').replace(/\.js$/, '.ts'))
}

describe('the code', () => {
  it('is all looked at', (t) => {
    const sizes = [...source.values()].map(({ lines }) => lines).sort((a, b) => a - b)
    assert(source.size >= SOURCE_FILES_MIN, `only ${source.size} source files`)
    assert(all.size > source.size)
    t.diagnostic(`${source.size} source files, median ${sizes[sizes.length >> 1]} lines`)
  })

  it('keeps its layers', () => none(layerViolations(source)))

  it('reads clocks and chance through their ports', () => none(purityViolations(source)))

  it('never waits in the core of the quorum', () => none(waitingViolations(source)))

  it('has no cycles', () => none(cycleViolations(source)))

  it('has no file that is too long', () => none(sizeViolations(all)))

  it('has no function that is too long', () => none(functionViolations(source)))

  it('has no name that says nothing', () => none(nameViolations(all)))

  it('has no file that nothing imports', () => none(orphanViolations(source, entryPoints())))

  it('switches no types off', () => none(typeViolations(all)))

  it('is finished', () => {
    none(unfinishedViolations(readTexts(['.'], [...CODE, '.md', '.json', '.yml'])))
  })
})

describe('the documentation', () => {
  it('has one title on every page', () => none(headingViolations(readTexts(['.'], ['.md']))))
})

/** Checks that a rule finds exactly these problems, as `path:line`. */
function finds(violations: readonly Violation[], expected: readonly string[]): void {
  assert.deepEqual(
    violations.map(({ path, line }) => `${path}:${line}`),
    expected,
  )
}

describe('the checks themselves find', () => {
  const base = { 'src/base/index.ts': "export * from './crc.ts'\n", 'src/base/crc.ts': '' }

  it('imports that point up or sideways', () => {
    const io = { 'src/io/index.ts': "import '../base/index.ts'\n" }
    none(layerViolations(treeOf({ ...base, ...io })))
    const up = { 'src/base/crc.ts': "import type { File } from '../io/index.ts'\n" }
    finds(layerViolations(treeOf({ ...base, ...io, ...up })), ['src/base/crc.ts:1'])
    const sideways = {
      'src/cli/main.ts': "\nimport '../testing/index.ts'\n",
      'src/testing/index.ts': '',
    }
    finds(layerViolations(treeOf({ ...base, ...sideways })), ['src/cli/main.ts:2'])
    const strange = { 'src/utils/a.ts': '' }
    finds(layerViolations(treeOf({ ...base, ...strange })), ['src/utils/a.ts:1'])
  })

  it('imports that go past a layer’s index.ts, or to nothing', () => {
    for (const line of [
      "import { crc32 } from '../base/crc.ts'",
      "export * from '../base/crc.ts'",
      "export type { A } from '../base/crc.ts'",
      "type A = import('../base/crc.ts').A",
      "await import('../base/crc.ts')",
      "import { a } from './nowhere.ts'",
    ]) {
      finds(layerViolations(treeOf({ ...base, 'src/log/a.ts': line })), ['src/log/a.ts:1'])
    }
  })

  it('modules that a layer has no business with', () => {
    const wrong: [path: string, line: string][] = [
      ['src/log/a.ts', "import fs from 'node:fs'"],
      ['src/log/a.ts', "import { connect } from 'node:net'"],
      ['src/base/a.ts', "import { join } from 'node:path'"],
      ['src/cli/a.ts', "import tls from 'node:tls'"],
      ['src/io/a.ts', "import lodash from 'lodash'"],
      ['src/log/a.ts', "const fs = await import('node:fs')"],
      ['src/log/a.ts', "const fs = require('node:fs')"],
      ['src/index.ts', "import fs from 'node:fs'"],
    ]
    for (const [path, line] of wrong) {
      finds(layerViolations(treeOf({ [path]: line })), [`${path}:1`])
    }
    none(layerViolations(treeOf({ 'src/io/a.ts': "import fs from 'node:fs'" })))
  })

  it('clocks, timers and chance outside of their ports', () => {
    for (const line of [
      'Date.now()',
      'new Date()',
      'Math.random()',
      'performance.now()',
      'setTimeout(f, 1)',
      'setInterval(f, 1)',
    ]) {
      finds(purityViolations(treeOf({ 'src/log/a.ts': `\n${line}` })), ['src/log/a.ts:2'])
      none(purityViolations(treeOf({ 'src/io/a.ts': line })))
    }
    none(purityViolations(treeOf({ 'src/log/a.ts': 'new Date(5); clock.now(); // setTimeout()' })))
  })

  it('a core that waits', () => {
    const path = 'src/quorum/core/a.ts'
    for (const line of [
      'async function f() {}',
      'const f = async () => {}',
      'const p: Promise<void> = q',
      'await q',
    ]) {
      finds(waitingViolations(treeOf({ [path]: `\n${line}` })), [`${path}:2`])
      none(waitingViolations(treeOf({ 'src/quorum/a.ts': line })))
    }
    finds(
      layerViolations(treeOf({ [path]: "import '../../log/index.ts'", 'src/log/index.ts': '' })),
      [`${path}:1`],
    )
  })

  it('cycles, of types too when they leave a layer', () => {
    const runtime = {
      'src/log/a.ts': "import './b.ts'",
      'src/log/b.ts': "import { a } from './a.ts'",
    }
    assert.equal(cycleViolations(treeOf(runtime)).length, 1)
    assert.equal(cycleViolations(treeOf({ 'src/log/a.ts': "export * from './a.ts'" })).length, 1)
    const long = {
      'src/log/a.ts': "import { type A } from './b.ts'",
      'src/log/b.ts': "import './c.ts'",
      'src/log/c.ts': "import './a.ts'",
    }
    assert.equal(cycleViolations(treeOf(long)).length, 1)
    const types = { ...runtime, 'src/log/b.ts': "import type { A } from './a.ts'" }
    none(cycleViolations(treeOf(types)))
    const across = {
      'src/log/a.ts': "import '../io/index.ts'",
      'src/io/index.ts': "import type { A } from '../log/a.ts'",
    }
    assert.equal(cycleViolations(treeOf(across)).length, 1)
    const diamond = {
      'src/log/a.ts': "import './b.ts'\nimport './c.ts'",
      'src/log/b.ts': "import './c.ts'",
      'src/log/c.ts': '',
    }
    none(cycleViolations(treeOf(diamond)))
  })

  it('files and functions that are too long', () => {
    const file = (lines: number) => treeOf({ 'src/log/a.ts': 'x\n'.repeat(lines) })
    none(sizeViolations(file(600)))
    finds(sizeViolations(file(601)), ['src/log/a.ts:601'])
    const body = (lines: number) => 'x()\n'.repeat(lines - 2)
    for (const head of [
      'function a() {',
      'const a = () => {',
      'class A { a() {',
      'function* a() {',
    ]) {
      const tail = head.startsWith('class') ? '} }' : '}'
      const text = (lines: number) =>
        treeOf({ 'src/log/a.ts': `\n${head}\n${body(lines)}\n\n${tail}` })
      none(functionViolations(text(70)))
      finds(functionViolations(text(71)), ['src/log/a.ts:2'])
    }
  })

  it('names that say nothing', () => {
    const names = ['src/log/utils.ts', 'src/helpers/a.ts', 'src/log/log-manager.ts', 'test/util.ts']
    for (const path of names) finds(nameViolations(treeOf({ [path]: '' })), [`${path}:1`])
    none(nameViolations(treeOf({ 'src/log/utility-poles.ts': '' })))
  })

  it('files that nothing imports, and entry points that are not there', () => {
    const tree = treeOf({
      'src/index.ts': "export * from './log/index.ts'",
      'src/log/index.ts': "import type { A } from './a.ts'",
      'src/log/a.ts': '',
      'src/log/orphan.ts': "import './a.ts'",
    })
    finds(orphanViolations(tree, ['src/index.ts']), ['src/log/orphan.ts:1'])
    finds(orphanViolations(tree, ['src/index.ts', 'src/log/orphan.ts', 'src/x.ts']), ['src/x.ts:1'])
  })

  it('types that are switched off', () => {
    for (const line of [
      'let a: any',
      'x as any',
      'f<any>()',
      `// @ts-${'ignore'}`,
      `// @ts-${'expect-error'}`,
    ]) {
      finds(typeViolations(treeOf({ 'src/log/a.ts': `\n\n${line}` })), ['src/log/a.ts:3'])
    }
    none(typeViolations(treeOf({ 'src/log/a.ts': "// any comment\nconst any = 'any'" })))
  })

  it('what is unfinished, and pages without one title', () => {
    finds(unfinishedViolations({ 'a.ts': `x\n// ${'TO' + 'DO'}: later` }), ['a.ts:2'])
    none(unfinishedViolations({ 'a.ts': 'todos and fixtures' }))
    none(headingViolations({ 'a.md': '# One\n\n## Two\n\n```sh\n# a comment\n```\n' }))
    finds(headingViolations({ 'a.md': '# One\n# Two\n', 'b.md': '## None\n' }), [
      'a.md:1',
      'b.md:1',
    ])
  })
})
