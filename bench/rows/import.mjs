import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OURS } from '../verdict.mjs'

const ENTRY = new URL('../../dist/index.js', import.meta.url).href
const PAIRS = 10

/** How long a fresh process takes for a program, in ms. */
function timeOf(path) {
  const begun = performance.now()
  const { status, stderr } = spawnSync(process.execPath, [path])
  if (status !== 0) throw new Error(`the process failed: ${stderr}`)
  return performance.now() - begun
}

export const row = {
  title: "import 'tidemark', beyond an empty program",
  unit: 'ms',
  note: `of ${PAIRS} pairs of fresh processes the fastest with the import, less the fastest without.`,
  contestants: [
    {
      name: OURS,
      prepare(folder) {
        const programs = { empty: '', full: `import ${JSON.stringify(ENTRY)}\n` }
        const paths = Object.entries(programs).map(([name, text]) => {
          const path = join(folder, `${name}.mjs`)
          writeFileSync(path, text)
          return path
        })
        return {
          measure() {
            const best = [Infinity, Infinity]
            for (let i = 0; i < PAIRS; i++) {
              for (const [at, path] of paths.entries()) best[at] = Math.min(best[at], timeOf(path))
            }
            return best[1] - best[0]
          },
        }
      },
    },
  ],
  bars: [{ below: 30 }],
}
