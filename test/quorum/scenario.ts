import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ScenarioCluster } from './scenario-cluster.ts'
import { VERBS } from './scenario-verbs.ts'

/** They lie beside the sources: what is compiled does not take them along. */
const FOLDER = fileURLToPath(new URL('../../../test/quorum/scenarios/', import.meta.url))

export function scenarioFiles(): { name: string; path: string; text: string }[] {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.txt'))
  return names.sort().map((file) => {
    const path = `${FOLDER}${file}`
    return { name: file.slice(0, -'.txt'.length), path, text: readFileSync(path, 'utf8') }
  })
}

/**
 * Runs a script and writes it anew: each command with what it says now, indented, in place of what it said
 * before. Lines that begin with `#` and empty lines stay.
 */
export function runScenario(script: string): string {
  const cluster = new ScenarioCluster()
  const lines: string[] = []
  for (const line of script.trimEnd().split('\n')) {
    if (line.startsWith(' ')) continue
    lines.push(line)
    if (line === '' || line.startsWith('#')) continue
    for (const said of run(cluster, line)) lines.push(`    ${said}`)
  }
  return `${lines.join('\n')}\n`
}

function run(cluster: ScenarioCluster, command: string): string[] {
  const [name, ...words] = command.split(/\s+/)
  const verb = VERBS[name]
  if (!verb) throw new Error(`no command is called ${name}, in: ${command}`)
  try {
    verb(cluster, words)
  } catch (cause) {
    throw new Error([`this failed: ${command}`, ...cluster.take(), `${cause}`].join('\n'), {
      cause,
    })
  }
  return cluster.take()
}
