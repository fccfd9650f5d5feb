// Every snippet of the README and of docs/ compiles. Those that are whole programs are run, in a process
// and a folder of their own, and so are shell lines that are marked; what a page says they print, they
// print. The marks are comments in the Markdown: CONTRIBUTING.md has them.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { allPages, type Block, blocksOf, ROOT } from './pages.ts'
import { isFragment, javaScriptOf, problemsOf } from './typescript.ts'

const run = promisify(execFile)
const CODE = new Set(['ts', 'js', 'typescript', 'javascript'])
const MARKS = new Set(['fragment', 'runs', 'output'])
const TIMEOUT_MS = 30_000

// The page of the API is made of the declarations: signatures, which are no programs.
const pages = allPages().filter(({ path }) => {
  return path === 'README.md' || (path.startsWith('docs/') && path !== 'docs/api.md')
})
const blocks = pages.flatMap(blocksOf)
const snippets = blocks.filter(({ language }) => CODE.has(language))
const programs = snippets.filter((block) => !isFragment(block))
const scripts = blocks.filter(({ marks }) => marks.includes('runs'))

/** What the page says the block prints, if it says so. */
function outputOf(block: Block): Block | undefined {
  const next = blocks[blocks.indexOf(block) + 1]
  return next?.path === block.path && next.marks.includes('output') ? next : undefined
}

function expectOutput(block: Block, stdout: string): void {
  const output = outputOf(block)
  if (output) assert.equal(stdout.trimEnd(), output.code, `${output.path}:${output.line}`)
}

const place = ({ path, line }: Block) => `${path}:${line}`

describe('the snippets of the documentation', () => {
  it('are all looked at', () => {
    assert.ok(snippets.length >= 15, `only ${snippets.length} snippets`)
    assert.ok(programs.length >= 8, `only ${programs.length} of them are programs`)
    assert.ok(scripts.length >= 2, `only ${scripts.length} are shell lines`)
    for (const block of blocks) {
      for (const mark of block.marks) {
        // Other comments may stand before a block; a misspelt mark is one word.
        assert.ok(MARKS.has(mark) || block.marks.length > 1, `${place(block)}: "${mark}"?`)
      }
    }
  })

  it('compile', () => {
    assert.deepEqual(problemsOf(snippets), [])
  })

  it('would not compile if they were wrong', () => {
    const wrong = (code: string, marks: string[]): Block => {
      return { path: 'a.md', line: 10, language: 'ts', marks, code }
    }
    const problems = problemsOf([
      wrong("import { Log } from 'tidemark'\nawait Log.open('x', { synk: 'never' })", []),
      wrong('await log.append(1)\n', ['fragment']),
      wrong("await log.append('x')", []),
      wrong("import { Log } from 'tidemark'\nconst log = await Log.open(folder)", ['fragment']),
    ])
    assert.deepEqual(
      problems.map((problem) => problem.split(' ')[0]),
      ['a.md:11:', 'a.md:10:', 'a.md:10:'],
    )
  })
})

describe('the programs of the documentation', { concurrency: 2 }, () => {
  let work: string
  let modules: string

  before(() => {
    work = mkdtempSync(join(tmpdir(), 'tidemark-docs-'))
    // Below the package, so that `tidemark` is this package.
    mkdirSync(join(ROOT, 'build'), { recursive: true })
    modules = mkdtempSync(join(ROOT, 'build', 'snippets-'))
  })

  after(() => {
    rmSync(modules, { recursive: true, force: true })
    rmSync(work, { recursive: true, force: true })
  })

  for (const block of programs) {
    it(`${place(block)} runs`, async () => {
      const cwd = mkdtempSync(join(work, 'program-'))
      const path = join(modules, `${place(block).replace(/\W/g, '-')}.mjs`)
      writeFileSync(path, javaScriptOf(block))
      const { stdout, stderr } = await run(process.execPath, [path], { cwd, timeout: TIMEOUT_MS })
      assert.equal(stderr, '')
      expectOutput(block, stdout)
    })
  }

  for (const block of scripts) {
    const skip = process.platform === 'win32' ? 'needs a POSIX shell' : false
    it(`${place(block)} runs`, { skip }, async () => {
      const cwd = mkdtempSync(join(work, 'script-'))
      const bin = mkdtempSync(join(work, 'bin-'))
      const main = join(ROOT, 'dist', 'cli', 'main.js')
      const command = join(bin, 'tidemark')
      writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`)
      chmodSync(command, 0o755)
      const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` }
      const options = { cwd, env, timeout: TIMEOUT_MS }
      const { stdout } = await run('sh', ['-e', '-c', block.code], options)
      expectOutput(block, stdout)
    })
  }
})
