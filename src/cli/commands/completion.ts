import { type Arguments, quoted, UsageError } from '../arguments.ts'
import { type Command, type CommandShape, type Context, EXIT_DONE } from '../command.ts'
import { completionScript, SHELLS } from '../completion.ts'

/** The command that prints completions of all commands, itself among them. */
export function completionOf(others: readonly CommandShape[]): Command {
  async function run(args: Arguments, { out }: Context): Promise<number> {
    const word = args.positional('shell')
    const shell = SHELLS.find((one) => one === word)
    if (!shell) throw new UsageError(`<shell> must be ${SHELLS.join(', ')}, not ${quoted(word)}`)
    out.write(completionScript(shell, [...others, completion]))
    return EXIT_DONE
  }
  const completion: Command = {
    name: 'completion',
    summary: 'print what a shell needs to complete the command line',
    positionals: [{ name: 'shell', words: SHELLS, help: 'bash, zsh or fish' }],
    options: {},
    examples: [
      'tidemark completion bash > /etc/bash_completion.d/tidemark',
      'tidemark completion fish > ~/.config/fish/completions/tidemark.fish',
    ],
    run,
  }
  return completion
}
