import { errnoOf, TidemarkError } from '../base/index.ts'
import { UsageError } from './arguments.ts'
import { EXIT_FAILED, EXIT_WRONG_USE } from './command.ts'

/** One line, whatever a message contains. */
function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, ' ')
}

/** What the command line says about a failure: `tidemark: CODE: what, where, what to do`. */
export function failureLine(error: unknown): string {
  if (error instanceof UsageError) return `tidemark: USAGE: ${oneLine(error.message)}`
  if (error instanceof TidemarkError) return `tidemark: ${error.code}: ${oneLine(error.message)}`
  const message = error instanceof Error ? error.message : String(error)
  // What has the code of the operating system comes from its files; anything else is a bug, and its
  // stack is what a report of it needs.
  if (errnoOf(error) !== undefined) return `tidemark: IO: ${oneLine(message)}`
  const stack = error instanceof Error && error.stack ? `\n${error.stack}` : ''
  return `tidemark: BUG: ${oneLine(message)}${stack}`
}

export function failureExitCode(error: unknown): number {
  return error instanceof UsageError ? EXIT_WRONG_USE : EXIT_FAILED
}
