import { parseArgs } from 'node:util'
import { ROW_NAMES, rowsNamed } from './rows/index.mjs'

export const HELP = `npm run bench -- [rows] [options]

Measures the log beside its peers and prints one table.

  --runs=N       measured runs of each row; 5 by default
  --quick        3 shorter runs
  --full         the memory row appends and scans 10 GiB instead of 1; idle quorums have 1,000 logs instead of 100
  --only=A,B     only these rows, or those that begin so (core, map, quorum): ${ROW_NAMES.join(', ')}
  --dir=FOLDER   where the files go, a folder on the disk to measure; the system's folder for
                 temporary files by default
  --json         all figures as JSON instead of the table
  --svg=FILE     draws the table as a picture, too
  --readme=FILE  puts the table into a Markdown file, between the marks of the figures
  --help         this text
`

function usage(message) {
  return Object.assign(new Error(`${message}; --help lists the options`), { code: 'USAGE' })
}

function parse(args) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        runs: { type: 'string' },
        quick: { type: 'boolean', default: false },
        full: { type: 'boolean', default: false },
        only: { type: 'string' },
        dir: { type: 'string' },
        json: { type: 'boolean', default: false },
        svg: { type: 'string' },
        readme: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
    const only = [values.only, ...positionals].filter((word) => word !== undefined)
    return { ...values, only: only.length > 0 ? only.join(',') : undefined }
  } catch (error) {
    throw usage(error.message)
  }
}

/** The options of a run. Throws an error whose message is meant for the user. */
export function parseArguments(args) {
  const values = parse(args)
  const runs = Number(values.runs ?? (values.quick ? 3 : 5))
  if (!Number.isInteger(runs) || runs < 1 || runs > 1000) {
    throw usage(`--runs must be a number from 1 to 1000, not ${values.runs}`)
  }
  const only = values.only?.split(',').flatMap((word) => {
    const names = rowsNamed(word)
    if (names.length > 0) return names
    throw usage(`--only: there is no row "${word}"; there is ${ROW_NAMES.join(', ')}`)
  })
  return { ...values, runs, only }
}
