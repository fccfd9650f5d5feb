import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Arguments } from '../arguments.ts'
import { type BenchRow, MEASURES } from '../bench/rows.ts'
import { type Command, type Context, EXIT_DONE } from '../command.ts'
import { count } from '../format.ts'
import { Progress } from '../progress.ts'

const SECONDS_DEFAULT = 4
const SECONDS_MAX = 3600

function us(value: number | undefined): string {
  return value === undefined ? '' : `${count(value)} µs`
}

function asText(rows: readonly BenchRow[]): string {
  const cells = rows.map(({ name, perSecond, p50Us, p99Us }) => {
    return [name, `${count(perSecond)}/s`, us(p50Us), us(p99Us)]
  })
  const all = [['work, entries of 128 bytes', 'rate', 'p50', 'p99'], ...cells]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]!.length)))
  const lines = all.map((row) => {
    const padded = row.map((cell, column) => {
      return column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)
    })
    return padded.join('  ').trimEnd()
  })
  return `${lines.join('\n')}\n`
}

/** Removes the folders that were made for the measurement, as far as nobody has put anything there. */
function removeEmpty(folder: string, first: string): void {
  try {
    for (let at = folder; at.startsWith(first); at = dirname(at)) rmdirSync(at)
  } catch {
    // It is not empty, or gone already.
  }
}

async function run(args: Arguments, { out, err, interrupted }: Context): Promise<number> {
  const seconds = args.integer('seconds', 1, SECONDS_MAX) ?? SECONDS_DEFAULT
  const parent = resolve(args.positional('dir') || '.')
  const made = mkdirSync(parent, { recursive: true })
  const folder = mkdtempSync(join(parent, 'tidemark-bench-'))
  const remove = () => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    if (made !== undefined) removeEmpty(parent, made)
  }
  // A second Ctrl-C ends the process at once, and it still cleans up.
  process.on('exit', remove)
  const progress = new Progress(err, 'measured')
  const rows: BenchRow[] = []
  try {
    for (const measure of MEASURES) {
      progress.say(() => `measured ${rows.length} of ${MEASURES.length}`)
      rows.push(await measure({ folder, millisecondsPerRow: seconds * 1000, signal: interrupted }))
    }
  } finally {
    progress.clear()
    remove()
    process.off('exit', remove)
  }
  out.write(args.flag('json') ? `${JSON.stringify({ folder: parent, rows })}\n` : asText(rows))
  return EXIT_DONE
}

export const bench: Command = {
  name: 'bench',
  summary: "measure this machine's disk, and the log on it",
  details: [
    'Takes about half a minute, and up to a few hundred MB in a folder that is removed afterwards.',
    'The floor is what no log can be faster than: one small write and one fdatasync.',
  ],
  positionals: [
    { name: 'dir', isOptional: true, help: 'where to measure; the current folder if left out' },
  ],
  options: {
    seconds: { value: 'n', help: `for each row; ${SECONDS_DEFAULT} by default` },
    json: { help: 'one object: folder, rows (name, entries, perSecond, p50Us, p99Us)' },
  },
  examples: ['tidemark bench', 'tidemark bench /mnt/disk --seconds 1 --json'],
  run,
}
