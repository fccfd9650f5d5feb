// What `npm run kill -- --quorum` and `--machines` run, and what they print.

import { machinesRing } from './machines-ring.js'
import { BUILD, type BuildEdit, plant } from './planted-build.js'
import { type QuorumRingResult, quorumRing } from './ring.js'

/** Edits of the built code that the ring must find: one that cannot fail proves nothing. */
const BUGS: Readonly<Record<string, BuildEdit>> = {
  receipts: {
    file: 'quorum/receipts.js',
    find: 'return this.#bySession.get(session)?.get(request);',
    replace: 'return undefined;',
  },
}

export interface MainOptions {
  readonly folder: string
  readonly seed: number
  readonly ms: number
  readonly bug: string | undefined
  readonly json: boolean
}

/** Resolves with whether every promise was kept. */
export async function ringOfQuorum(options: MainOptions): Promise<boolean> {
  const { folder, seed, ms, bug, json } = options
  const build = bug === undefined ? BUILD : plant(BUGS, bug, folder)
  const result = await quorumRing({
    build,
    folder,
    seed,
    ms,
    onKill: ({ number, member, isLeader, acknowledged }) => {
      const role = isLeader ? ', the leader' : ''
      if (!json) console.log(`${number}: member ${member}${role}; ${acknowledged} acknowledged`)
    },
  })
  const summary = { seed, ...result, failover: failoverOf(result) }
  console.log(json ? JSON.stringify(summary) : described(result))
  return result.faults.length === 0
}

function failoverOf({ failoverMs }: QuorumRingResult) {
  const at = (share: number) => failoverMs[Math.floor((failoverMs.length - 1) * share)]
  return { deaths: failoverMs.length, medianMs: at(0.5), worstMs: at(1) }
}

function described(result: QuorumRingResult): string {
  const { acknowledged, unknown, refused, reads, commands, kills, entries, lost, twice } = result
  const { deaths, medianMs = 0, worstMs = 0 } = failoverOf(result)
  const codes = Object.entries(result.codes).map(([code, count]) => `${code} ${count}`)
  const failover = `${deaths} deaths of the leader, then ${medianMs.toFixed(0)} ms (median) or ${worstMs.toFixed(0)} ms (worst) to the next acknowledgement`
  return [
    ...result.faults.slice(0, 20).map((fault) => `FAULT: ${fault}`),
    `${kills} kills: ${acknowledged} appends acknowledged, ${unknown} unknown, ${refused} refused; ${reads} reads, ${commands} commands; ${entries} entries, ${lost} lost, ${twice} twice`,
    failover,
    `met: ${codes.join(', ') || 'nothing'}`,
    result.faults.length === 0 ? 'all promises kept' : `${result.faults.length} FAULTS`,
  ].join('\n')
}

export async function ringOfMachines({ folder, seed, json }: MainOptions): Promise<boolean> {
  const onStep = (step: string) => (json ? undefined : console.log(step))
  const result = await machinesRing({ build: BUILD, folder, machines: 100, rounds: 1, onStep })
  const { requests, retries, restarts, faults } = result
  const text = `${restarts} restarts under 100 machines: ${requests} requests, ${retries} asked again, ${faults.length} faults`
  for (const fault of faults.slice(0, 20)) console.error(`FAULT: ${fault}`)
  console.log(json ? JSON.stringify({ seed, ...result }) : text)
  return faults.length === 0
}
