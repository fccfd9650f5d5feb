// Every relative link in the documentation leads to a file, and to a heading of it, that is there.
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { describe, it } from 'node:test'
import { allPages, headingsOf, linksOf, type Page, pageAt, ROOT } from './pages.ts'

const pages = allPages()

/** What is wrong with the links of these pages. `exists` and `read` look files up by path. */
function deadLinks(
  from: readonly Page[],
  exists: (path: string) => boolean,
  read: (path: string) => Page,
): string[] {
  return from.flatMap(linksOf).flatMap(({ path, line, target }) => {
    if (/^[a-z]+:/.test(target)) return []
    const [file = '', heading] = target.split('#')
    const to = file === '' ? path : posix.normalize(posix.join(dirname(path), decodeURI(file)))
    if (to.startsWith('..')) return [`${path}:${line}: ${target} is outside of the repository`]
    if (!exists(to)) return [`${path}:${line}: ${target}: there is no ${to}`]
    if (heading === undefined || !to.endsWith('.md')) return []
    if (headingsOf(read(to)).includes(heading)) return []
    return [`${path}:${line}: ${target}: ${to} has no heading "${heading}"`]
  })
}

describe('the links of the documentation', () => {
  it('are all looked at', () => {
    const paths = pages.map(({ path }) => path)
    for (const path of ['README.md', 'ARCHITECTURE.md', 'docs/errors.md']) {
      assert.ok(paths.includes(path), `${path} was not found`)
    }
    assert.ok(pages.flatMap(linksOf).length >= 50)
  })

  it('lead somewhere', () => {
    assert.deepEqual(
      deadLinks(pages, (path) => existsSync(join(ROOT, path)), pageAt),
      [],
    )
  })

  it('would be found if they did not', () => {
    const text = [
      '# A title, `code` & more',
      '[a](b.md) [b](#a-title-code--more) [c](#nothing)',
      '`[d](not-a-link.md)` [e](https://example.org/x.md) [f](../out.md)',
      '```md\n[g](not-a-link.md)\n## no heading\n```',
      '[h](#no-heading) [`i`](gone.md "title")',
    ].join('\n')
    const page = { path: 'docs/a.md', text }
    const dead = deadLinks(
      [page],
      (path) => path === 'docs/a.md' || path === 'docs/b.md',
      () => page,
    )
    assert.deepEqual(
      dead.map((line) => line.split(' ').slice(0, 2).join(' ').replace(/:$/, '')),
      [
        'docs/a.md:2: #nothing',
        'docs/a.md:3: ../out.md',
        'docs/a.md:8: #no-heading',
        'docs/a.md:8: gone.md',
      ],
    )
  })
})

describe('ARCHITECTURE.md', () => {
  const { text } = pageAt('ARCHITECTURE.md')
  const named = new Set([...text.matchAll(/`(?:[\w-]+\/)*([\w-]+\.ts)`/g)].map(([, name]) => name!))
  const filesOf = (layer: string) =>
    readdirSync(join(ROOT, 'src', layer), { recursive: true, encoding: 'utf8' })
      .map((name) => posix.basename(name.replaceAll('\\', '/')))
      .filter((name) => name.endsWith('.ts') && name !== 'index.ts')

  it('names every file of base, io, protocol, simulation, log, quorum and kafka', () => {
    const files = ['base', 'io', 'protocol', 'simulation', 'log', 'quorum', 'kafka'].flatMap(
      filesOf,
    )
    assert.ok(files.length >= 50)
    assert.deepEqual(
      files.filter((name) => !named.has(name)),
      [],
    )
  })

  it('names no file that is gone', () => {
    const files = new Set(['index.ts', ...filesOf('.')])
    assert.deepEqual(
      [...named].filter((name) => !files.has(name)),
      [],
    )
  })
})
