#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Arguments, UsageError } from './arguments.ts'
import { type Command, type Context, EXIT_DONE } from './command.ts'
import { append } from './commands/append.ts'
import { backup } from './commands/backup.ts'
import { bench } from './commands/bench.ts'
import { cat } from './commands/cat.ts'
import { cluster } from './commands/cluster.ts'
import { completionOf } from './commands/completion.ts'
import { cursors } from './commands/cursors.ts'
import { deletion } from './commands/delete.ts'
import { demo } from './commands/demo.ts'
import { dump } from './commands/dump.ts'
import { info } from './commands/info.ts'
import { kv } from './commands/kv.ts'
import { mirror } from './commands/mirror.ts'
import { repair } from './commands/repair.ts'
import { trim } from './commands/trim.ts'
import { verify } from './commands/verify.ts'
import { failureExitCode, failureLine } from './failure.ts'
import { commandHelp, generalHelp } from './help.ts'
import { Interrupt } from './interrupt.ts'
import { checkPlaces } from './kafka-address.ts'
import { suggestion } from './nearest.ts'
import { Output } from './output.ts'

const OPERATIONS = [verify, repair, trim, cursors, dump, backup, mirror, deletion]
const ALL = [append, cat, info, ...OPERATIONS, kv, cluster, bench, demo]
const COMMANDS: readonly Command[] = [...ALL, completionOf(ALL)]

function version(): string {
  const path = new URL('../../package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string }
  return version
}

function find(word: string): Command {
  const command = COMMANDS.find(({ name }) => name === word)
  if (command) return command
  const names = [...COMMANDS.map(({ name }) => name), 'help']
  throw new UsageError(`there is no command ${JSON.stringify(word)}; ${suggestion(word, names)}`)
}

async function perform(words: readonly string[], context: Context): Promise<number> {
  const [word, ...rest] = words
  if (word === undefined) {
    const names = COMMANDS.map(({ name }) => name).join(', ')
    throw new UsageError(`give a command: ${names}; tidemark --help shows them`)
  }
  if (word === '--version' || word === '-v' || word === '-V') {
    context.out.line(`tidemark ${version()}`)
    return EXIT_DONE
  }
  if (word === '--help' || word === '-h' || word === 'help') {
    const about = rest[0] === undefined ? generalHelp(COMMANDS) : commandHelp(find(rest[0]))
    context.out.write(about)
    return EXIT_DONE
  }
  if (word.startsWith('-')) {
    const near = suggestion(word, ['--help', '--version'])
    throw new UsageError(`there is no option ${word} before the command; ${near}`)
  }
  const command = find(word)
  const args = Arguments.parse(command, rest)
  if (args.flag('help')) {
    context.out.write(commandHelp(command))
    return EXIT_DONE
  }
  args.checkPositionals()
  checkPlaces(command, args)
  return command.run(args, context)
}

/** Runs the command line and resolves with the exit code. */
async function main(words: readonly string[]): Promise<number> {
  const out = new Output(process.stdout, 'standard output')
  const err = new Output(process.stderr, 'standard error')
  const interrupt = new Interrupt()
  let exitCode: number
  try {
    exitCode = await perform(words, { out, err, interrupted: interrupt.signal })
    await interrupt.patiently(out.flush())
    exitCode = interrupt.exitCode ?? exitCode
  } catch (error) {
    const isQuiet = interrupt.exitCode !== undefined && error === interrupt.signal.reason
    if (!isQuiet) err.line(failureLine(error))
    exitCode = isQuiet ? interrupt.exitCode : failureExitCode(error)
  }
  await interrupt.patiently(err.flush()).catch(() => {})
  return exitCode
}

// Whatever is still open, such as an input that nobody reads any more, must not hold the process up.
process.exit(await main(process.argv.slice(2)))
