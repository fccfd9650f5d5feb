import { allOptions } from './arguments.ts'
import type { CommandShape, OptionShape } from './command.ts'

// Completions for shells, made of the table that the parser and the help read.

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/** The script that a shell is to source. */
export function completionScript(shell: Shell, commands: readonly CommandShape[]): string {
  if (shell === 'bash') return bashScript(commands)
  return shell === 'zsh' ? zshScript(commands) : fishScript(commands)
}

interface Words {
  readonly place: number
  readonly words: readonly string[]
  /** A path can stand there, too. */
  readonly isPath: boolean
}

/** The words that can stand for an argument of a command, and for which; none if all are paths. */
function wordsOf({ positionals }: CommandShape): Words {
  const place = positionals.findIndex(({ words }) => words)
  const { words = [], isPath = words.length === 0 } = positionals[place] ?? {}
  return { place: Math.max(0, place), words, isPath }
}

function flagsOf(command: CommandShape): string[] {
  return Object.entries(allOptions(command)).flatMap(([name, { short }]) => {
    return short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`]
  })
}

function bashScript(commands: readonly CommandShape[]): string {
  const names = commands.map(({ name }) => name)
  const cases = commands.map((command) => {
    const flags = flagsOf(command).join(' ')
    const { place, words, isPath } = wordsOf(command)
    const files = isPath && words.length > 0 ? " files='-f';" : ''
    return `    ${command.name}) flags='${flags}'; words='${words.join(' ')}';${files} place=${place + 2} ;;`
  })
  return `# Completion of tidemark for bash. To use it: source <(tidemark completion bash)
_tidemark() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" flags='' words='' files='' place=2
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='${names.join(' ')} help --help --version'
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    help) words='${names.join(' ')}' ;;
  esac
  if [ "\${cur:0:1}" = '-' ]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  elif [ -n "$words" ] && [ "$COMP_CWORD" -eq "$place" ]; then
    COMPREPLY=($(compgen $files -W "$words" -- "$cur"))
  else
    compopt -o filenames 2> /dev/null
    COMPREPLY=($(compgen -f -- "$cur"))
  fi
}
complete -F _tidemark tidemark
`
}

/** Text within single quotes, for every shell here. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

function zshOption(name: string, { value, isMany, help }: OptionShape): string {
  const text = help.replace(/[[\]:]/g, '\\$&')
  return quoted(`${isMany ? '*' : ''}--${name}[${text}]${value === undefined ? '' : `:${value}: `}`)
}

function zshScript(commands: readonly CommandShape[]): string {
  const all = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`)
  const cases = commands.map((command) => {
    const options = Object.entries(allOptions(command)).map(([name, one]) => zshOption(name, one))
    const { place, words, isPath } = wordsOf(command)
    const word = `'${place + 1}:word:(${words.join(' ')})'`
    const either = `'${place + 1}:word or file:{_alternative "words:word:(${words.join(' ')})" "files:file:_files"}'`
    const only = isPath ? either : word
    const rest =
      words.length === 0 ? `'*:file:_files'` : place === 0 ? only : `${word} '1:dir:_files -/'`
    return `    ${command.name}) _arguments ${[...options, rest].join(' ')} ;;`
  })
  return `#compdef tidemark
# Completion of tidemark for zsh. To use it: source <(tidemark completion zsh)
_tidemark() {
  local -a commands
  commands=(
${all.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
    help) _describe command commands ;;
  esac
}
compdef _tidemark tidemark
`
}

function fishScript(commands: readonly CommandShape[]): string {
  const lines = commands.flatMap((command) => {
    const { name, summary } = command
    const seen = `-n '__fish_seen_subcommand_from ${name}'`
    const options = Object.entries(allOptions(command)).map(([long, { short, value, help }]) => {
      const letter = short === undefined ? '' : ` -s ${short}`
      return `complete -c tidemark ${seen} -l ${long}${letter}${value ? ' -x' : ''} -d ${quoted(help)}`
    })
    const { place, words: all, isPath } = wordsOf(command)
    const only = place === 0 && !isPath ? ' -f' : ''
    const words = all.map((word) => `complete -c tidemark ${seen}${only} -a ${word}`)
    const first = `complete -c tidemark -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`
    return [first, ...options, ...words]
  })
  return `# Completion of tidemark for fish. To use it: tidemark completion fish | source
${lines.join('\n')}
`
}
