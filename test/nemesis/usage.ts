import { parseArgs } from 'node:util'

const USAGE = `npm run nemesis -- [options]

  Real members, each in a process of its own, under faults of all kinds, and judges of what clients were told.
  Ends with 1 if a promise is broken, and keeps all folders then; with 2 if it is not called like this.

  --minutes=N, --seconds=N   how long faults strike; 5 minutes by default
  --members=3|5              how many members; 3 by default
  --only=NAME,NAME           only these faults
  --flips=N                  instead: bits turn in the files of a minority, N of them, one after the other
  --scenario=NAME|all        instead: one scenario, or all
  --seed=N                   the same again, as far as the machine allows
  --bug=NAME                 members with this bug in them: it must end with 1
  --json                     the result as JSON, without --scenario
  --list                     names all faults, scenarios and bugs
  --help                     this

examples
  npm run nemesis -- --seconds=60 --seed=7
  npm run nemesis -- --minutes=10 --members=5 --only=kill,links
  npm run nemesis -- --flips=200 --seed=7 --members=5
  npm run nemesis -- --scenario=grow --seed=7
  npm run nemesis -- --seconds=60 --only=power,power-all --bug=unsynced`

/** It is not called as it is to be: one line, and exit code 2. */
export class UsageError extends Error {}

export interface Asked {
  readonly ms: number
  readonly seed: number
  readonly members: number
  readonly flips: number | undefined
  readonly only: readonly string[] | undefined
  readonly bug: string | undefined
  readonly scenario: string | undefined
  readonly list: boolean
  readonly json: boolean
  /** What to print instead of all else. */
  readonly help: string | undefined
}

/** Throws {@link UsageError}. */
export function parse(args: string[]): Asked {
  const values = valuesOf(args)
  const number = (name: 'minutes' | 'seconds' | 'seed' | 'members' | 'flips', text: string) => {
    const found = text === '' ? Number.NaN : Number(text)
    if (Number.isFinite(found) && found >= 0) return found
    throw new UsageError(`--${name} is a number, not ${JSON.stringify(text)}`)
  }
  const { minutes, seconds, flips, only, bug, scenario, list, json } = values
  const members = number('members', values.members)
  if (members !== 3 && members !== 5) {
    throw new UsageError(`--members is 3 or 5, not ${values.members}`)
  }
  return {
    ms:
      seconds === undefined
        ? 60_000 * number('minutes', minutes)
        : 1000 * number('seconds', seconds),
    seed: number('seed', values.seed),
    members,
    flips: flips === undefined ? undefined : number('flips', flips),
    only: only?.split(','),
    bug,
    scenario,
    list,
    json,
    help: values.help ? USAGE : undefined,
  }
}

function valuesOf(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        minutes: { type: 'string', default: '5' },
        seconds: { type: 'string' },
        seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
        members: { type: 'string', default: '3' },
        flips: { type: 'string' },
        only: { type: 'string' },
        bug: { type: 'string' },
        scenario: { type: 'string' },
        list: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    // "Unknown option '--x'. To specify a positional argument ...": what comes first is enough.
    throw new UsageError((error as Error).message.split('. ')[0])
  }
}
