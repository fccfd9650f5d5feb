// What the core does, told in scripts: test/quorum/scenarios. A difference shows as one in the script.
// `node build/test/quorum/rewrite-scenarios.js` writes them anew: to be committed only if it is known why
// each line changed.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runScenario, scenarioFiles } from './scenario.ts'

describe('a scenario', () => {
  for (const { name, text } of scenarioFiles()) {
    it(name, () => assert.equal(runScenario(text), text))
  }
})
