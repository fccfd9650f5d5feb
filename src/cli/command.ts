import type { Arguments } from './arguments.ts'
import type { Output } from './output.ts'

/** An option of a command. */
export interface OptionShape {
  /** What stands for its value in the help; without it the option is a switch. */
  readonly value?: string
  /** One letter. */
  readonly short?: string
  /** It can be given several times: what stands behind it is joined by commas. */
  readonly isMany?: boolean
  /** It is of logs in folders, and means nothing for one on Kafka. */
  readonly isOfFolder?: boolean
  readonly help: string
}

export interface PositionalShape {
  readonly name: string
  readonly isOptional?: boolean
  /** The last one: as many words as there are, or none, of any text. */
  readonly isMany?: boolean
  /** What it can be, if it is not any path. */
  readonly words?: readonly string[]
  /** It can be a path, besides the words. */
  readonly isPath?: boolean
  /** It can be the address of a log on Kafka, besides a path. */
  readonly isAddress?: boolean
  readonly help: string
}

/** What a command takes: enough to read its arguments and to write its help. */
export interface CommandShape {
  readonly name: string
  /** What it does, in one line. */
  readonly summary: string
  /** What else there is to know, in whole sentences. */
  readonly details?: readonly string[]
  readonly positionals: readonly PositionalShape[]
  readonly options: Readonly<Record<string, OptionShape>>
  readonly examples: readonly string[]
}

/** Where a command runs. */
export interface Context {
  readonly out: Output
  readonly err: Output
  /** Aborted by Ctrl-C and its kin. A command that minds it ends as soon as everything is in order. */
  readonly interrupted: AbortSignal
}

export interface Command extends CommandShape {
  /** Resolves with the exit code; throws what the error line shall say. */
  run(args: Arguments, context: Context): Promise<number>
}

export const EXIT_DONE = 0
/** Damage was found, or the operation failed. */
export const EXIT_FAILED = 1
export const EXIT_WRONG_USE = 2
