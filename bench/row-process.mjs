// Measures one row and sends its results to the parent. By hand, for a profile:
//   node --expose-gc --cpu-prof bench/row-process.mjs ROW [FOLDER]
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { measureRow } from './measure.mjs'
import { loadRow } from './rows/index.mjs'
import { judge } from './verdict.mjs'

async function run(job) {
  const row = await loadRow(job.name)
  const { name, title, unit, note } = row
  try {
    const { values, missing } = await measureRow(row, job)
    return { name, title, unit, note, missing, values, ...judge(row, values) }
  } catch (error) {
    return { name, title, unit, note, error: error.stack ?? String(error) }
  }
}

if (process.send) {
  process.once('message', (job) => {
    run(job)
      .then((result) => process.send(result, () => process.disconnect()))
      .catch((error) => {
        process.stderr.write(`${error.stack}\n`)
        process.exit(1)
      })
  })
} else {
  const [name, parent = tmpdir()] = process.argv.slice(2)
  const folder = mkdtempSync(join(parent, 'tidemark-bench-'))
  const result = await run({ name, folder, runs: 5, quick: false, full: false })
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
}
