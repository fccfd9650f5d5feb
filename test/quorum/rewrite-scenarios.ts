// Writes what each command of a scenario says now: `node build/test/quorum/rewrite-scenarios.js`.

import { writeFileSync } from 'node:fs'
import { runScenario, scenarioFiles } from './scenario.ts'

for (const { name, path, text } of scenarioFiles()) {
  try {
    const now = runScenario(text)
    if (now === text) continue
    writeFileSync(path, now)
    process.stdout.write(`${name} is written anew\n`)
  } catch (error) {
    process.exitCode = 1
    process.stderr.write(`${name}: ${error}\n`)
  }
}
