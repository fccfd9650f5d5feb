// The documentation as its tests see it: pages, the blocks of code in them, headings and links.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

export interface Page {
  /** From the root of the repository, with `/`. */
  readonly path: string
  readonly text: string
}

/** A fenced block of code. */
export interface Block {
  readonly path: string
  /** Of its first line of code. */
  readonly line: number
  /** The word behind the fence, such as `ts`. */
  readonly language: string
  /** The words of the comment right before the fence, such as `fragment`. */
  readonly marks: readonly string[]
  readonly code: string
}

export interface Link {
  readonly path: string
  readonly line: number
  readonly target: string
}

const FOLDERS_IGNORED = new Set(['node_modules', 'dist', 'build', '.git'])

/** Every Markdown file of the repository. */
export function allPages(folder = ''): Page[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) return FOLDERS_IGNORED.has(entry.name) ? [] : allPages(path)
    return entry.isFile() && path.endsWith('.md') ? [pageAt(path)] : []
  })
}

export function pageAt(path: string): Page {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') }
}

const FENCE = /^(```|~~~)\s*(\w*)\s*$/
const MARKS = /^<!--\s*(.*?)\s*-->$/

/** The blocks of a page, in order. Throws where a fence has no end. */
export function blocksOf({ path, text }: Page): Block[] {
  const lines = text.split('\n')
  const blocks: Block[] = []
  for (let i = 0; i < lines.length; i++) {
    const [, fence, language = ''] = FENCE.exec(lines[i]!) ?? []
    if (fence === undefined) continue
    const end = lines.findIndex((line, at) => at > i && line.trimEnd() === fence)
    if (end < 0) throw new Error(`${path}:${i + 1}: a fence without an end`)
    const [, words = ''] = MARKS.exec(lines[i - 1] ?? '') ?? []
    const marks = words.split(/\s+/).filter((word) => word !== '')
    blocks.push({ path, line: i + 2, language, marks, code: lines.slice(i + 1, end).join('\n') })
    i = end
  }
  return blocks
}

/** The lines of a page with those of code emptied, so that their numbers stay. */
function proseOf({ text }: Page): string[] {
  let fence: string | undefined
  return text.split('\n').map((line) => {
    const [, found] = FENCE.exec(line) ?? []
    const isInside = fence !== undefined
    if (fence === undefined) fence = found
    else if (line.trimEnd() === fence) fence = undefined
    return isInside || found !== undefined ? '' : line
  })
}

/** What a heading is called in links to it: as GitHub makes it. */
export function headingsOf(page: Page): string[] {
  const seen = new Map<string, number>()
  return proseOf(page).flatMap((line) => {
    const [, title] = /^#{1,6}\s+(.*?)\s*$/.exec(line) ?? []
    if (title === undefined) return []
    const slug = title
      .toLowerCase()
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
      .replaceAll(' ', '-')
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return [count === 0 ? slug : `${slug}-${count}`]
  })
}

/** The links of a page, those of code left out. */
export function linksOf(page: Page): Link[] {
  return proseOf(page).flatMap((line, i) => {
    const prose = line.replace(/`[^`]*`/g, (code) => code.replace(/[()[\]]/g, ' '))
    const targets = [...prose.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g)].map(
      ([, target]) => target!,
    )
    return targets.map((target) => ({ path: page.path, line: i + 1, target }))
  })
}

/** The rows of the first table behind `heading`, as the texts of their cells. */
export function tableBehind(page: Page, heading: string): string[][] {
  const lines = page.text.split('\n')
  const from = lines.indexOf(heading)
  if (from < 0) throw new Error(`${page.path} has no heading "${heading}"`)
  const first = lines.findIndex((line, i) => i > from && line.startsWith('|'))
  const rest = lines.slice(first)
  const length = rest.findIndex((line) => !line.startsWith('|'))
  const rows = rest.slice(2, length < 0 ? undefined : length)
  return rows.map((row) => {
    const cells = row.split(/(?<!\\)\|/).slice(1, -1)
    return cells.map((cell) => cell.trim())
  })
}
