import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { NATS } from '../nemesis/nats.ts'
import { HAZARDS, type Hazard, type Holder } from './hazards.ts'
import { QUORUM_BUGS } from './sim/planted-bugs.ts'
import { runSeed } from './sim/run-seed.ts'
import { drawSettings } from './sim/settings.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const read = (path: string) => readFileSync(`${ROOT}${path}`, 'utf8')

/** Undefined if it is there. */
function missing(holder: Holder): string | undefined {
  if ('bug' in holder) {
    return QUORUM_BUGS.some(({ name }) => name === holder.bug) ? undefined : `bug ${holder.bug}`
  }
  if ('scenario' in holder) {
    const isThere = NATS.some(({ name }) => name === holder.scenario)
    return isThere ? undefined : `scenario ${holder.scenario}`
  }
  const { test, title } = holder
  // A scenario of the core is a script of its own, and its name is the title.
  if (test === 'quorum/scenarios') return read(`test/${test}/${title}.txt`) ? undefined : title
  return read(`test/${test}.test.ts`).includes(title) ? undefined : `${test}: ${title}`
}

function nameOf(holder: Holder): string {
  if ('bug' in holder) return 'the simulator'
  if ('scenario' in holder) return `\`${holder.scenario}\``
  return `\`${holder.test}\``
}

/** As docs/quorum.md has it. */
function rowOf({ source, text, held }: Hazard, number: number): string {
  const names = [...new Set(held.map(nameOf))]
  return `| ${number} | ${source} | ${text} | ${names.join(', ')} |`
}

describe('each hazard', () => {
  for (const [i, hazard] of HAZARDS.entries()) {
    it(`${i + 1}, ${hazard.source}: ${hazard.text}`, () => {
      assert(hazard.held.length > 0)
      assert.deepEqual(hazard.held.map(missing).filter(Boolean), [])
    })
  }

  it('is in docs/quorum.md, with what holds it', () => {
    const lines = new Set(read('docs/quorum.md').split('\n'))
    const rows = HAZARDS.map((hazard, i) => rowOf(hazard, i + 1))
    assert.deepEqual(
      rows.filter((row) => !lines.has(row)),
      [],
    )
  })

  it('that has a switch is in the table of switches', () => {
    const docs = read('docs/quorum.md')
    const table = docs.slice(docs.indexOf('<!-- bugs:begin'), docs.indexOf('<!-- bugs:end'))
    for (const { name, source } of QUORUM_BUGS) {
      assert(table.includes(`| ${source} | ${name} |`), `${source}: ${name}`)
    }
  })
})

describe('three replicas of which two do not see each other', () => {
  it('agree on a leader, again and again', async () => {
    const isApt = (seed: number) => {
      const { members, network, appends } = drawSettings(seed)
      const { partitionShapes, partitionsPerSecond } = network
      const isOften = partitionsPerSecond > 1 && partitionShapes.join() === 'stranded'
      return members === 3 && isOften && !appends
    }
    let seed = 1
    while (!isApt(seed)) seed++
    const { report, fault } = await runSeed(seed)
    assert.equal(fault, undefined)
    assert((report.faults.partitions ?? 0) > 0)
  })
})
