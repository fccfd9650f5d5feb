// Compiles snippets of the documentation, each as a module that imports `tidemark` as a user would.
import { join } from 'node:path'
import ts from 'typescript'
import { type Block, ROOT } from './pages.ts'

/** What a fragment may take for granted, on one line, so that the numbers of its lines stay. */
const EXPORTS =
  'bytes, type Codec, type CommitLog, type Entry, FolderLock, inspectLog, json, Log, type LogOptions, text, TidemarkError, verifyLog'
const GIVEN = 'log: Log, folder: string, signal: AbortSignal'

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
  types: ['node'],
  allowJs: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
  noEmit: true,
}

export function isFragment({ marks }: Block): boolean {
  return marks.includes('fragment')
}

/** The block as a module. A fragment becomes the body of a function that is given a log. */
function moduleOf(block: Block): string {
  if (!isFragment(block)) return block.code
  const imports: string[] = []
  const body = block.code.replace(/^import\b[^'"]*['"][^'"]*['"]$/gm, (line) => {
    imports.push(line.replaceAll('\n', ' '))
    return line.replace(/[^\n]/g, '')
  })
  if (!imports.some((line) => line.includes("'tidemark'"))) {
    imports.push(`import { ${EXPORTS} } from 'tidemark'`)
  }
  // A function of its own, so that a fragment may name things as what it is given.
  return `${imports.join('; ')}; export const fragment = (${GIVEN}) => async () => {\n${body}\n}`
}

/** The problems of the blocks as `path:line: problem`. The modules exist in memory only. */
export function problemsOf(blocks: readonly Block[]): string[] {
  const folder = join(ROOT, 'build', 'snippets')
  const modules = new Map(
    blocks.map((block, i) => {
      const suffix = block.language === 'js' ? 'mjs' : 'ts'
      return [join(folder, `${i}.${suffix}`).replaceAll('\\', '/'), block] as const
    }),
  )
  const host = ts.createCompilerHost(OPTIONS)
  const { fileExists, readFile, getSourceFile } = host
  const textOf = (path: string) => {
    const block = modules.get(path)
    return block && moduleOf(block)
  }
  host.fileExists = (path) => modules.has(path) || fileExists(path)
  host.readFile = (path) => textOf(path) ?? readFile(path)
  host.getSourceFile = (path, target, ...rest) => {
    const text = textOf(path)
    return text === undefined
      ? getSourceFile(path, target, ...rest)
      : ts.createSourceFile(path, text, target, true)
  }
  const program = ts.createProgram([...modules.keys()], OPTIONS, host)
  return ts.getPreEmitDiagnostics(program).map((diagnostic) => {
    const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ')
    const { file, start = 0 } = diagnostic
    const block = file && modules.get(file.fileName)
    if (!file || !block) return `${file?.fileName ?? 'the compiler'}: ${message}`
    const { line } = file.getLineAndCharacterOfPosition(start)
    return `${block.path}:${block.line + line - (isFragment(block) ? 1 : 0)}: ${message}`
  })
}

/** The block without its types. */
export function javaScriptOf({ code }: Block): string {
  const compilerOptions = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext }
  return ts.transpileModule(code, { compilerOptions }).outputText
}
