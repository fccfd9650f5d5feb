import { allOptions } from './arguments.ts'
import type { Command, CommandShape, OptionShape } from './command.ts'
import { KAFKA_ADDRESS, KAFKA_QUERY } from './kafka-address.ts'

const WIDTH = 88

/** Breaks `text` into lines, each but the first indented. */
function wrap(text: string, indent: number): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line)
      line = ''
    }
    line += line === '' ? word : ` ${word}`
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`)
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, help]) => `  ${name.padEnd(width)}  ${wrap(help, width + 4)}\n`).join('')
}

function optionNames(name: string, { short, value }: OptionShape): string {
  return `${short ? `-${short}, ` : ''}--${name}${value ? ` <${value}>` : ''}`
}

function usage({ name, positionals }: CommandShape): string {
  const words = positionals.map((one) =>
    one.isOptional || one.isMany ? `[${one.name}]` : `<${one.name}>`,
  )
  return ['tidemark', name, ...words].join(' ')
}

/** What `tidemark help <command>` prints. */
export function commandHelp(shape: CommandShape): string {
  const hasAddress = shape.positionals.some(({ isAddress }) => isAddress)
  const options = Object.entries(allOptions(shape))
  const sections = [`${usage(shape)}: ${shape.summary}\n`]
  if (shape.details) sections.push(`${shape.details.join('\n')}\n`)
  if (shape.positionals.length > 0) {
    sections.push(table(shape.positionals.map(({ name, help }) => [`<${name}>`, help])))
  }
  sections.push(`Options\n${table(options.map(([k, o]) => [optionNames(k, o), o.help]))}`)
  if (hasAddress) sections.push(`${KAFKA_ADDRESS}\n${table(Object.entries(KAFKA_QUERY))}`)
  sections.push(`Examples\n${shape.examples.map((line) => `  ${line}\n`).join('')}`)
  return sections.join('\n')
}

/** What `tidemark --help` prints. */
export function generalHelp(commands: readonly Command[]): string {
  const rows = commands.map((command) => [usage(command), command.summary] as const)
  const others = [
    ['tidemark help <command>', 'show its options and examples'],
    ['tidemark --version, -v', 'show the version'],
  ] as const
  return `tidemark: a write-ahead log in a folder

${table([...rows, ...others])}
Exit codes: 0 done, 1 damage or failure, 2 wrong use. Errors are one line on standard error,
  tidemark: CODE: what went wrong, where, and what to do

Examples
  echo 'order placed' | tidemark append ./orders
  tidemark cat ./orders --json
`
}
