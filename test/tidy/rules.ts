// The rules of the code, each a function from a tree to its violations. Layers and their words:
// ARCHITECTURE.md.
import { basename } from 'node:path'
import ts from 'typescript'
import { lineOf, type SourceFile, type SourceTree, type Violation, walk } from './source-tree.ts'

interface Layer {
  /** The layers that it may use, through their `index.ts`. */
  readonly uses: readonly string[]
  /** Modules of Node that it may import; undefined: any. */
  readonly modules: readonly string[] | undefined
  /** True if it reads no clock and no randomness but through their ports. */
  readonly isPure: boolean
}

export const LAYERS: Readonly<Record<string, Layer>> = {
  base: { uses: [], modules: ['node:zlib'], isPure: true },
  io: { uses: ['base'], modules: undefined, isPure: false },
  log: { uses: ['base', 'io'], modules: ['node:path'], isPure: true },
  // Kafka's wire format.
  protocol: { uses: ['base'], modules: [], isPure: true },
  machine: { uses: ['base', 'log'], modules: ['node:path'], isPure: true },
  'quorum/core': { uses: ['base'], modules: [], isPure: true },
  'quorum/wire': { uses: ['base', 'log', 'quorum/core'], modules: [], isPure: true },
  'quorum/transport': {
    uses: ['base', 'io', 'quorum/wire'],
    modules: ['node:crypto'],
    isPure: true,
  },
  quorum: {
    uses: ['base', 'io', 'log', 'machine', 'quorum/core', 'quorum/wire', 'quorum/transport'],
    modules: ['node:crypto', 'node:events', 'node:path'],
    isPure: true,
  },
  kafka: { uses: ['base', 'io', 'log', 'protocol'], modules: ['node:path'], isPure: true },
  simulation: { uses: ['base', 'io'], modules: ['node:crypto', 'node:path'], isPure: false },
  testing: {
    uses: ['base', 'io', 'log', 'simulation'],
    modules: ['node:assert/strict', 'node:test'],
    isPure: true,
  },
  // A program around the library: it has input files, child processes and patience of its own.
  cli: {
    uses: ['base', 'io', 'log', 'machine', 'quorum', 'kafka'],
    modules: [
      'node:buffer',
      'node:child_process',
      'node:events',
      'node:fs',
      'node:net',
      'node:os',
      'node:path',
      'node:stream',
      'node:timers/promises',
      'node:url',
      'node:util',
    ],
    isPure: false,
  },
}

export const FILE_LINES_MAX = 600
export const FUNCTION_LINES_MAX = 70

/** The layer of a file below src; undefined for those at its root, which are the public face. */
export function layerOf(path: string): string | undefined {
  const [top, layer, part, ...rest] = path.split('/')
  if (top !== 'src' || part === undefined) return undefined
  return rest.length > 0 && `${layer}/${part}` in LAYERS ? `${layer}/${part}` : layer
}

/** Imports point down only, and into another layer only through its `index.ts`. */
export function layerViolations(tree: SourceTree): Violation[] {
  const found: Violation[] = []
  for (const { path, imports } of tree.values()) {
    const layer = layerOf(path)
    if (layer !== undefined && !LAYERS[layer]) {
      found.push({ path, line: 1, problem: `"${layer}" is not a layer` })
      continue
    }
    for (const { specifier, target, line } of imports) {
      const problem =
        target === undefined ? moduleProblem(layer, specifier) : targetProblem(tree, layer, target)
      if (problem) found.push({ path, line, problem })
    }
  }
  return found
}

function moduleProblem(layer: string | undefined, specifier: string): string | undefined {
  if (!specifier.startsWith('node:')) {
    // Optional ones, which are loaded only when they are asked for.
    if (layer === 'machine' && specifier === 'sorted-btree') return undefined
    if (layer === 'kafka' && specifier === '@platformatic/kafka') return undefined
    return `${specifier}: the library depends on no package`
  }
  if (layer === undefined) return `${specifier}: the public face only exports`
  const { modules } = LAYERS[layer]!
  return !modules || modules.includes(specifier)
    ? undefined
    : `${specifier} is not for the layer ${layer}`
}

function targetProblem(
  tree: SourceTree,
  layer: string | undefined,
  target: string,
): string | undefined {
  if (!tree.has(target)) return `${target} is not there`
  const other = layerOf(target)
  if (other === layer) return undefined
  if (other === undefined) return `${target} is above every layer`
  if (layer !== undefined && !LAYERS[layer]!.uses.includes(other)) {
    return `${layer} does not stand on ${other}`
  }
  return target === `src/${other}/index.ts` ? undefined : `${target}: go through ${other}/index.ts`
}

/** What a pure layer must not touch: time, chance and timers come in through their ports. */
const IMPURE = new Set([
  'Date.now',
  'Math.random',
  'performance.now',
  'process.hrtime',
  'setImmediate',
  'setInterval',
  'setTimeout',
])

export function purityViolations(tree: SourceTree): Violation[] {
  const found: Violation[] = []
  for (const { path, ast } of tree.values()) {
    const layer = layerOf(path)
    if (layer === undefined || !LAYERS[layer]?.isPure) continue
    walk(ast, (node) => {
      const problem = impureUse(node, ast)
      if (problem) found.push({ path, line: lineOf(ast, node), problem })
    })
  }
  return found
}

/** What the core of the quorum must not have: between two steps of it nothing may happen inside. */
export function waitingViolations(tree: SourceTree): Violation[] {
  const found: Violation[] = []
  for (const { path, ast } of tree.values()) {
    if (layerOf(path) !== 'quorum/core') continue
    walk(ast, (node) => {
      const waits =
        ts.isAwaitExpression(node) ||
        node.kind === ts.SyntaxKind.AsyncKeyword ||
        (ts.isIdentifier(node) && node.text === 'Promise')
      if (waits) found.push({ path, line: lineOf(ast, node), problem: 'the core never waits' })
    })
  }
  return found
}

function impureUse(node: ts.Node, ast: ts.SourceFile): string | undefined {
  if (ts.isNewExpression(node) && node.expression.getText(ast) === 'Date') {
    return node.arguments?.length ? undefined : 'new Date() outside of a port'
  }
  if (!ts.isCallExpression(node)) return undefined
  const called = node.expression.getText(ast)
  return IMPURE.has(called) ? `${called} outside of a port` : undefined
}

export function sizeViolations(tree: SourceTree): Violation[] {
  const found: Violation[] = []
  for (const { path, lines } of tree.values()) {
    if (lines <= FILE_LINES_MAX) continue
    found.push({ path, line: lines, problem: `${lines} lines in a file, of ${FILE_LINES_MAX}` })
  }
  return found
}

export function functionViolations(tree: SourceTree): Violation[] {
  const found: Violation[] = []
  for (const { path, ast, text } of tree.values()) {
    const lines = text.split('\n')
    walk(ast, (node) => {
      if (!ts.isFunctionLike(node) || !('body' in node) || !node.body) return
      const first = lineOf(ast, node)
      const last = ast.getLineAndCharacterOfPosition(node.end).line + 1
      const count = lines.slice(first - 1, last).filter((line) => line.trim() !== '').length
      if (count <= FUNCTION_LINES_MAX) return
      const problem = `${count} lines in a function, of ${FUNCTION_LINES_MAX}`
      found.push({ path, line: first, problem })
    })
  }
  return found
}

/** No cycle at run time; none of types either that leaves a layer. */
export function cycleViolations(tree: SourceTree): Violation[] {
  const runtime = cycles(tree, ({ imports }) => imports.filter(({ isRuntime }) => isRuntime))
  const any = cycles(tree, ({ imports }) => imports).filter(
    (cycle) => new Set(cycle.map(layerOf)).size > 1,
  )
  return [...runtime, ...any].map((cycle) => {
    return { path: cycle[0]!, line: 1, problem: `a cycle: ${cycle.join(' -> ')}` }
  })
}

/** Groups of files that lead to each other (Tarjan's algorithm). */
function cycles(
  tree: SourceTree,
  edgesOf: (file: SourceFile) => SourceFile['imports'],
): string[][] {
  const indexes = new Map<string, number>()
  const lows = new Map<string, number>()
  const stack: string[] = []
  const found: string[][] = []
  const visit = (path: string): void => {
    indexes.set(path, indexes.size)
    lows.set(path, indexes.get(path)!)
    stack.push(path)
    let isOwn = false
    for (const { target } of edgesOf(tree.get(path)!)) {
      if (target === undefined || !tree.has(target)) continue
      if (target === path) isOwn = true
      if (!indexes.has(target)) visit(target)
      else if (!stack.includes(target)) continue
      lows.set(path, Math.min(lows.get(path)!, lows.get(target)!))
    }
    if (lows.get(path) !== indexes.get(path)) return
    const group = stack.splice(stack.indexOf(path))
    if (group.length > 1 || isOwn) found.push(group)
  }
  for (const path of tree.keys()) if (!indexes.has(path)) visit(path)
  return found
}

const VAGUE_NAMES = /^(utils?|helpers?|managers?|misc|common|stuff)$/

export function nameViolations(tree: SourceTree): Violation[] {
  const found: Violation[] = []
  for (const path of tree.keys()) {
    const words = path.split('/').flatMap((part) => basename(part).split(/[-.]/))
    const vague = words.find((word) => VAGUE_NAMES.test(word))
    if (vague) found.push({ path, line: 1, problem: `"${vague}" says nothing` })
  }
  return found
}

/** Every file is reached from an entry point. */
export function orphanViolations(tree: SourceTree, entries: readonly string[]): Violation[] {
  const reached = new Set<string>()
  const visit = (path: string): void => {
    const file = tree.get(path)
    if (!file || reached.has(path)) return
    reached.add(path)
    for (const { target } of file.imports) if (target) visit(target)
  }
  for (const entry of entries) visit(entry)
  const found: Violation[] = []
  for (const entry of entries) {
    if (!tree.has(entry))
      found.push({ path: entry, line: 1, problem: 'there is no such entry point' })
  }
  for (const path of tree.keys()) {
    if (!reached.has(path)) found.push({ path, line: 1, problem: 'nothing imports it' })
  }
  return found
}

/** Types that are switched off. */
export function typeViolations(tree: SourceTree): Violation[] {
  const found: Violation[] = []
  for (const { path, ast, text } of tree.values()) {
    walk(ast, (node) => {
      if (node.kind !== ts.SyntaxKind.AnyKeyword) return
      found.push({ path, line: lineOf(ast, node), problem: 'any' })
    })
    text.split('\n').forEach((line, i) => {
      const off = /@ts-(ignore|expect-error|nocheck)/.exec(line)
      if (off) found.push({ path, line: i + 1, problem: off[0] })
    })
  }
  return found
}

/** Written in two parts, so that this file does not find itself. */
const UNFINISHED = new RegExp(
  `\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`,
)

export function unfinishedViolations(texts: Readonly<Record<string, string>>): Violation[] {
  const found: Violation[] = []
  for (const [path, text] of Object.entries(texts)) {
    text.split('\n').forEach((line, i) => {
      const word = UNFINISHED.exec(line)
      if (word) found.push({ path, line: i + 1, problem: word[0] })
    })
  }
  return found
}

/** A page has one title. */
export function headingViolations(texts: Readonly<Record<string, string>>): Violation[] {
  const found: Violation[] = []
  for (const [path, text] of Object.entries(texts)) {
    const prose = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '')
    const count = prose.split('\n').filter((line) => /^#\s/.test(line)).length
    if (count !== 1) found.push({ path, line: 1, problem: `${count} headings of the first level` })
  }
  return found
}
