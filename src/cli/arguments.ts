import { parseArgs } from 'node:util'
import type { CommandShape, OptionShape } from './command.ts'
import { suggestion } from './nearest.ts'

/** The command line makes no sense. The message names the word that is wrong. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

const HELP: OptionShape = { short: 'h', help: 'show this help' }

/** The options of a command and the one that every command has. */
export function allOptions(shape: CommandShape): Readonly<Record<string, OptionShape>> {
  return { ...shape.options, help: HELP }
}

/** The arguments of one command, each read where it is needed. All checks throw {@link UsageError}. */
export class Arguments {
  readonly #shape: CommandShape
  readonly #values: ReadonlyMap<string, string | true>
  readonly #positionals: readonly string[]

  private constructor(
    shape: CommandShape,
    values: ReadonlyMap<string, string | true>,
    positionals: readonly string[],
  ) {
    this.#shape = shape
    this.#values = values
    this.#positionals = positionals
  }

  /** Reads the words behind the command's name. An unknown option is refused, and the nearest named. */
  static parse(shape: CommandShape, words: readonly string[]): Arguments {
    const options = allOptions(shape)
    const { tokens } = parseArgs({
      args: [...words],
      strict: false,
      tokens: true,
      allowPositionals: true,
      options: Object.fromEntries(
        Object.entries(options).map(([name, { value, short }]) => [
          name,
          {
            type: value === undefined ? ('boolean' as const) : ('string' as const),
            ...(short === undefined ? {} : { short }),
          },
        ]),
      ),
    })
    const values = new Map<string, string | true>()
    const positionals: string[] = []
    for (const token of tokens) {
      if (token.kind === 'positional') positionals.push(token.value)
      if (token.kind !== 'option') continue
      const value = optionValue(shape, options, token)
      const before = values.get(token.name)
      if (options[token.name]?.isMany && before !== undefined) {
        values.set(token.name, `${before},${value}`)
        continue
      }
      // Of two values one would be dropped, and nobody told.
      if (value !== true && before !== undefined) {
        throw new UsageError(`--${token.name} is given twice; give it once`)
      }
      values.set(token.name, value)
    }
    return new Arguments(shape, values, positionals)
  }

  flag(name: string): boolean {
    return this.#values.has(name)
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name)
    return value === true ? undefined : value
  }

  integer(name: string, min: number, max: number): number | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
    if (number >= min && number <= max) return number
    throw new UsageError(
      `--${name} must be a whole number from ${min} to ${max}, not ${quoted(value)}`,
    )
  }

  /** Refuses two options that contradict each other. */
  exclude(one: string, other: string): void {
    if (!this.flag(one) || !this.flag(other)) return
    throw new UsageError(`--${one} and --${other} exclude each other`)
  }

  /** Refuses missing, empty and surplus words. */
  checkPositionals(): void {
    const { name, positionals } = this.#shape
    positionals.forEach((shape, i) => {
      if (shape.isMany) return
      const word = this.#positionals[i]
      if (word === '') throw new UsageError(`<${shape.name}> is empty; give a path`)
      if (word !== undefined || shape.isOptional) return
      throw new UsageError(`${name} needs <${shape.name}>: ${shape.help}`)
    })
    const surplus = this.#positionals[positionals.length]
    if (surplus === undefined || positionals.at(-1)?.isMany) return
    throw new UsageError(`${name} does not know what to do with ${quoted(surplus)}`)
  }

  /** The word at the place of this name; the empty string where an optional one is missing. */
  positional(name: string): string {
    return this.#positionals[this.#placeOf(name)] ?? ''
  }

  /** All words from the place of this name on. */
  words(name: string): readonly string[] {
    return this.#positionals.slice(this.#placeOf(name))
  }

  /** The names of the options that were given. */
  get given(): readonly string[] {
    return [...this.#values.keys()]
  }

  #placeOf(name: string): number {
    return this.#shape.positionals.findIndex((one) => one.name === name)
  }
}

export function quoted(word: string): string {
  return JSON.stringify(word)
}

interface OptionToken {
  readonly name: string
  readonly rawName: string
  readonly value: string | undefined
}

function optionValue(
  shape: CommandShape,
  options: Readonly<Record<string, OptionShape>>,
  token: OptionToken,
): string | true {
  const { name, rawName, value } = token
  const option = Object.hasOwn(options, name) ? options[name] : undefined
  if (!option) {
    const names = Object.keys(options).map((known) => `--${known}`)
    throw new UsageError(
      `${shape.name} has no option ${rawName}; ${suggestion(`--${name}`, names)}`,
    )
  }
  if (option.value === undefined) {
    if (value === undefined) return true
    throw new UsageError(`${rawName} takes no value, but was given ${quoted(value)}`)
  }
  if (value !== undefined && value !== '') return value
  throw new UsageError(`${rawName} needs a value: ${rawName} <${option.value}>`)
}
