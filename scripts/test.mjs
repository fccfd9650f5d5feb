// `npm test`: every test that needs nothing but Node, in one run of node:test.
// Where there are many cases (test/cases.ts) `npm test` takes a part of them; `npm run cases` runs these files with all of
// them, and `npm run damage` the part about damage.
// `npm test -- recovery` runs the files whose path contains "recovery".
// With --kafka, those of test/kafka, one after the other and with brokers: `npm run kafka` calls it like this.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const wanted = process.argv.slice(2).filter((word) => !word.startsWith('-'))
const own = ['--all-cases', '--kafka']
const flags = process.argv.slice(2).filter((word) => word.startsWith('-') && !own.includes(word))
if (process.argv.includes('--all-cases')) process.env.TIDEMARK_CASES = 'all'
const isKafka = process.argv.includes('--kafka')
if (isKafka) process.env.TIDEMARK_KAFKA = '1'
const files = readdirSync(join(root, 'build', 'test'), { recursive: true })
  .filter((name) => name.endsWith('.test.js'))
  .filter((name) => !isKafka || name.startsWith('kafka'))
  .filter((name) => wanted.length === 0 || wanted.some((word) => name.includes(word)))
  .map((name) => join('build', 'test', name))
  .sort()
if (files.length === 0) {
  process.stderr.write(`no test file matches ${wanted.join(' ')}\n`)
  process.exit(2)
}
// Node leaves one core free, which on two cores means one file after the other.
const concurrency = isKafka ? 1 : Math.max(2, availableParallelism())
const { status } = spawnSync(
  process.execPath,
  ['--test', '--test-timeout=240000', `--test-concurrency=${concurrency}`, ...flags, ...files],
  {
    cwd: root,
    stdio: 'inherit',
  },
)
process.exit(status ?? 1)
