import { type Arguments, quoted, UsageError } from './arguments.ts'
import { suggestion } from './nearest.ts'

/** What one action of a command takes. */
export interface ActionShape {
  /** What it needs, one for each number of words that it can have. */
  readonly words: readonly string[]
  readonly options: readonly string[]
}

/**
 * The action that the positional `action` names. Throws {@link UsageError} for one that there is not, for options that are
 * not for it, and for words too few or too many in the positional `words`.
 */
export function actionOf<A extends ActionShape>(
  args: Arguments,
  command: string,
  actions: Readonly<Record<string, A>>,
  neededBy: (action: A) => readonly string[] = ({ words }) => words,
): A {
  const name = args.positional('action')
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined
  if (!action) {
    const near = suggestion(name, Object.keys(actions))
    throw new UsageError(`${command} has no action ${quoted(name)}; ${near}`)
  }
  const stranger = args.given.find((option) => !action.options.includes(option))
  if (stranger !== undefined) {
    const known = action.options.map((option) => `--${option}`).join(', ')
    throw new UsageError(`--${stranger} is not for ${command} ${name}, which has ${known}`)
  }
  const needed = neededBy(action)
  const words = args.words('words')
  const counts = needed.map((shape) => shape.split(' ').filter((word) => word !== '').length)
  if (counts.includes(words.length)) return action
  const most = Math.max(...counts)
  if (words.length > most) {
    throw new UsageError(`${command} ${name} does not know what to do with ${quoted(words[most]!)}`)
  }
  const given = `and was given ${words.length} of them`
  throw new UsageError(`${command} ${name} needs ${needed.at(-1)}, ${given}`)
}
