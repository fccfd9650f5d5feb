// The source as the checks of the code see it: files by path, and what each imports.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export interface Import {
  /** As written: `../io/index.ts`, `node:fs`. */
  readonly specifier: string
  /** The file it leads to, if it is one of ours. */
  readonly target: string | undefined
  /** False for what is gone when the types are. */
  readonly isRuntime: boolean
  /** True for `import()` and `require()`, which load when they are called. */
  readonly isDynamic: boolean
  readonly line: number
}

export interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string
  readonly text: string
  readonly lines: number
  readonly ast: ts.SourceFile
  readonly imports: readonly Import[]
}

export type SourceTree = ReadonlyMap<string, SourceFile>

/** Something that is not as it should be. */
export interface Violation {
  readonly path: string
  readonly line: number
  readonly problem: string
}

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** A tree from texts by path. */
export function treeOf(texts: Readonly<Record<string, string>>): SourceTree {
  const tree = new Map<string, SourceFile>()
  for (const [path, text] of Object.entries(texts)) tree.set(path, sourceFile(path, text))
  return tree
}

/** The files below these folders whose names end so, as a tree. */
export function readTree(folders: readonly string[], suffixes: readonly string[]): SourceTree {
  return treeOf(readTexts(folders, suffixes))
}

export function readTexts(
  folders: readonly string[],
  suffixes: readonly string[],
): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const folder of folders) {
    for (const path of filesBelow(folder)) {
      if (suffixes.some((suffix) => path.endsWith(suffix))) {
        texts[path] = readFileSync(join(ROOT, path), 'utf8')
      }
    }
  }
  return texts
}

const IGNORED = new Set(['node_modules', 'dist', 'build', '.git'])

function filesBelow(folder: string): string[] {
  const found: string[] = []
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = folder === '.' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory() && !IGNORED.has(entry.name)) found.push(...filesBelow(path))
    else if (entry.isFile()) found.push(path)
  }
  return found
}

function sourceFile(path: string, text: string): SourceFile {
  const ast = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  return { path, text, lines, ast, imports: importsOf(ast, path) }
}

export function lineOf(ast: ts.SourceFile, node: ts.Node): number {
  return ast.getLineAndCharacterOfPosition(node.getStart(ast)).line + 1
}

/** Calls `visit` for every node of a file. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  node.forEachChild((child) => walk(child, visit))
}

type Add = (node: ts.Node, specifier: string, isRuntime: boolean, isDynamic?: boolean) => void

function importsOf(ast: ts.SourceFile, path: string): Import[] {
  const imports: Import[] = []
  const add: Add = (node, specifier, isRuntime, isDynamic = false) => {
    const isOurs = specifier.startsWith('.')
    const target = isOurs ? posix.normalize(posix.join(dirname(path), specifier)) : undefined
    imports.push({ specifier, target, isRuntime, isDynamic, line: lineOf(ast, node) })
  }
  walk(ast, (node) => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      // `import { type A }` leaves an import behind; only `import type` leaves none.
      add(node, node.moduleSpecifier.text, node.importClause?.isTypeOnly !== true)
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
      if (ts.isStringLiteral(node.moduleSpecifier)) {
        add(node, node.moduleSpecifier.text, !node.isTypeOnly)
      }
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      if (ts.isStringLiteral(node.argument.literal)) add(node, node.argument.literal.text, false)
    } else if (ts.isCallExpression(node)) {
      addDynamic(node, add)
    }
  })
  return imports
}

function addDynamic(node: ts.CallExpression, add: Add): void {
  const isImport = node.expression.kind === ts.SyntaxKind.ImportKeyword
  const isRequire = ts.isIdentifier(node.expression) && node.expression.text === 'require'
  const [argument] = node.arguments
  if ((isImport || isRequire) && argument && ts.isStringLiteral(argument)) {
    add(node, argument.text, true, true)
  }
}
