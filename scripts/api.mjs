// Writes docs/api.md: every export of the package with its signature and what its comment says, from the
// declarations that the build makes. So a change of the public face is a change of that page.
//   node scripts/api.mjs [--print] [folder of the declarations]
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))
const words = process.argv.slice(2)
const folder = resolve(words.find((word) => !word.startsWith('-')) ?? join(root, 'dist'))
const page = join(root, 'docs', 'api.md')

const ENTRY_POINTS = [
  { name: 'tidemark', file: 'index.d.ts' },
  { name: 'tidemark/machine', file: 'machine/index.d.ts' },
  { name: 'tidemark/quorum', file: 'quorum/index.d.ts' },
  { name: 'tidemark/kafka', file: 'kafka/index.d.ts' },
  { name: 'tidemark/testing', file: 'testing/index.d.ts' },
]
const KINDS = ['Classes', 'Functions', 'Values', 'Types', 'Not exported by name']
const COLUMNS = 100

const HEAD = `# API

Every export, with its signature and what its comment in the code says. \`npm run api\` makes this page of the
declarations; do not edit it. The [README](../README.md#the-api-at-a-glance) has an introduction,
[errors.md](errors.md) what each code means.
`

/** The comment before a declaration, as lines of plain text. */
function commentOf(node) {
  const comment = (node.jsDoc ?? node.parent?.parent?.jsDoc)?.at(-1)
  if (comment === undefined) return []
  const text = comment.getText().replace(/^\/\*\*|\*\/$/g, '')
  const lines = text.split('\n').map((line) => line.replace(/^\s*\*? ?/, '').trimEnd())
  while (lines[0] === '') lines.shift()
  while (lines.at(-1) === '') lines.pop()
  return lines.map((line) => line.replace(/\{@link ([\w.]+)\}/g, '$1'))
}

/** Whether a member is nobody's business outside: `#private`, `private`, `protected`, or `@internal`. */
function isHidden(node) {
  if (node.name && ts.isPrivateIdentifier(node.name)) return true
  if (ts.getCombinedModifierFlags(node) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) {
    return true
  }
  return commentOf(node).some((line) => line.startsWith('@internal'))
}

/** The text of a node as the rest of the code is written: no semicolons at the ends, two spaces. */
function codeOf(node) {
  return node
    .getText()
    .replace(/^export /, '')
    .replace(/\bdeclare (?=abstract|class|function|const|let|type|interface)/, '')
    .replace(/;$/gm, '')
    .replace(/^( {4})+/gm, (spaces) => spaces.slice(spaces.length / 2))
}

/** Breaks a signature that is too long between its parameters, or else where its type has a union. */
function wrapped(line) {
  if (line.length <= COLUMNS || /^ *\/[/*]/.test(line)) return [line]
  const [indent] = /^ */.exec(line)
  const [, head, list, tail] = /^([^(]*\()(.*)(\).*)$/.exec(line) ?? []
  if (list) {
    const parameters = []
    let depth = 0
    let from = 0
    for (const [i, char] of [...list].entries()) {
      if ('({[<'.includes(char)) depth++
      // The arrow of a function type closes nothing.
      if (')}]'.includes(char) || (char === '>' && list[i - 1] !== '=')) depth--
      if (char !== ',' || depth > 0) continue
      parameters.push(list.slice(from, i).trim())
      from = i + 1
    }
    parameters.push(list.slice(from).trim())
    return [head, ...parameters.map((parameter) => `${indent}  ${parameter},`), indent + tail]
  }
  const [first, ...rest] = line.replace(/^(type \w+ =) /, '$1 | ').split(/ (?=\| )/)
  return [first, ...rest.map((part) => `${indent}  ${part}`)]
}

function membersOf(node) {
  const lines = []
  for (const member of node.members) {
    if (isHidden(member)) continue
    const comment = commentOf(member).map((line) => `// ${line}`.trimEnd())
    const body = [...comment, ...codeOf(member).split('\n').map(unindented)]
    // A member that is explained stands apart, so that one sees what its comment belongs to.
    if (lines.length > 0 && comment.length > 0) lines.push('')
    lines.push(...body.map((line) => (line === '' ? '' : `  ${line}`)))
  }
  return lines
}

/** Members after their first line still have the indentation of their class. */
function unindented(line, i) {
  return i === 0 ? line : line.replace(/^ {2}/, '')
}

function signatureOf(node) {
  if (ts.isVariableDeclaration(node)) return codeOf(node.parent.parent).split('\n')
  if (!ts.isClassDeclaration(node) && !ts.isInterfaceDeclaration(node)) {
    return codeOf(node).split('\n')
  }
  const text = codeOf(node)
  const head = text.slice(0, text.indexOf('{\n') < 0 ? text.indexOf('{') : text.indexOf('{\n'))
  return [`${head}{`, ...membersOf(node), '}']
}

function kindOf(node) {
  if (ts.isClassDeclaration(node)) return 'Classes'
  if (ts.isFunctionDeclaration(node)) return 'Functions'
  return ts.isVariableDeclaration(node) ? 'Values' : 'Types'
}

function resolved(checker, symbol) {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
}

/** The exports of a module: what each stands for, and under what name. */
function exportsOf(checker, file) {
  const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(file))
  return exported.map((symbol) => ({ name: symbol.name, symbol: resolved(checker, symbol) }))
}

/** The symbols of this package that the public part of a declaration refers to. */
function symbolsIn(checker, declaration) {
  const found = new Set()
  const visit = (node) => {
    if (node !== declaration && isHidden(node)) return
    const name = node.typeName ?? (ts.isExpressionWithTypeArguments(node) && node.expression)
    const symbol = name && checker.getSymbolAtLocation(name)
    const target = symbol && resolved(checker, symbol)
    const path = target?.declarations?.[0]?.getSourceFile().fileName
    if (path && resolve(path).startsWith(folder)) found.add(target)
    ts.forEachChild(node, visit)
  }
  visit(declaration)
  return [...found].filter(({ flags }) => !(flags & ts.SymbolFlags.TypeParameter))
}

/** What exports refer to, and what that refers to, without being exported itself from anywhere. */
function unnamed(checker, exported, everyExport) {
  const seen = new Set(everyExport.map(({ symbol }) => symbol))
  const queue = exported.map(({ symbol }) => symbol)
  const found = []
  for (const symbol of queue) {
    for (const one of symbol.declarations.flatMap((node) => symbolsIn(checker, node))) {
      if (seen.has(one) || one.declarations.some(isHidden)) continue
      seen.add(one)
      queue.push(one)
      found.push({ name: one.name, symbol: one, kind: 'Not exported by name' })
    }
  }
  return found
}

/** A type that is made of a constant is written out: its name says nothing here. */
function linesOf(checker, node) {
  if (!ts.isTypeAliasDeclaration(node) || !node.type.getText().includes('typeof ')) {
    return signatureOf(node)
  }
  const flags = ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.InTypeAlias
  const type = checker.typeToString(checker.getTypeAtLocation(node), node, flags)
  return [`type ${node.name.text} = ${type.replaceAll('"', "'")}`]
}

/** `renamed` are the exports that have another name inside. */
function section(checker, { name, symbol }, renamed) {
  const { declarations } = symbol
  const comment = declarations.flatMap(commentOf)
  const lines = declarations.flatMap((node) => linesOf(checker, node)).flatMap(wrapped)
  const named = lines.map((line) => {
    if (line.trimStart().startsWith('//')) return line
    return renamed.reduce((text, [inside, outside]) => text.replace(inside, outside), line)
  })
  const prose = comment.length > 0 ? [...comment, ''] : []
  return [`### ${name}`, '', ...prose, '```ts', ...named, '```', ''].join('\n')
}

function report() {
  const entries = ENTRY_POINTS.filter(({ file }) => existsSync(join(folder, file)))
  const paths = entries.map(({ file }) => join(folder, file))
  const options = {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    types: ['node'],
  }
  const program = ts.createProgram(paths, { ...options, noEmit: true, skipLibCheck: true })
  const checker = program.getTypeChecker()
  const modules = entries.map(({ name }, i) => {
    return { name, exported: exportsOf(checker, program.getSourceFile(paths[i])) }
  })
  const every = modules.flatMap(({ exported }) => exported)
  const renamed = every
    .filter(({ name, symbol }) => name !== symbol.name)
    .map(({ name, symbol }) => [new RegExp(`\\b${symbol.name}\\b`, 'g'), name])
  const parts = [HEAD]
  for (const { name, exported } of modules) {
    const all = [...exported, ...unnamed(checker, exported, every)]
    all.sort((a, b) => (a.name < b.name ? -1 : 1))
    parts.push(`## ${name}\n`)
    const sorted = KINDS.map((kind) => {
      return [kind, all.filter((one) => (one.kind ?? kindOf(one.symbol.declarations[0])) === kind)]
    })
    for (const [kind, some] of sorted.filter(([, some]) => some.length > 0)) {
      const links = some.map((one) => `[${one.name}](#${one.name.toLowerCase()})`)
      parts.push(`**${kind}:**\n${links.join(',\n')}\n`)
    }
    const listed = sorted.flatMap(([, some]) => some)
    parts.push(...listed.map((one) => section(checker, one, renamed)))
  }
  return parts.join('\n')
}

const text = report()
if (words.includes('--print')) process.stdout.write(text)
else if (!existsSync(page) || readFileSync(page, 'utf8') !== text) {
  writeFileSync(page, text)
  process.stderr.write('api: docs/api.md has changed\n')
}
