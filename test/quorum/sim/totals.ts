// What all runs together have gone through.
import type { SimReport } from './cluster.ts'

export class Totals {
  runs = 0
  #events = 0
  #eventsMin = Number.POSITIVE_INFINITY
  #acked = 0
  #ackedMin = Number.POSITIVE_INFINITY
  #reads = 0
  #elections = 0
  #lives = 0
  #simulatedMs = 0
  readonly #faults = new Map<string, number>()
  readonly #appends = new Map<string, number>()
  readonly #sizes = new Map<number, number>()

  add(report: SimReport): void {
    this.runs++
    this.#events += report.events
    this.#eventsMin = Math.min(this.#eventsMin, report.events)
    this.#acked += report.acked
    this.#ackedMin = Math.min(this.#ackedMin, report.acked)
    this.#reads += report.reads
    this.#elections += report.elections
    this.#lives += report.lives
    this.#simulatedMs += report.simulatedMs
    this.#sizes.set(report.members, (this.#sizes.get(report.members) ?? 0) + 1)
    addTo(this.#faults, report.faults)
    addTo(this.#appends, report.appends)
  }

  describe(seconds: number): string {
    if (this.runs === 0) return 'no seed was run'
    const hours = (this.#simulatedMs / 3_600_000).toFixed(1)
    const sizes = [...this.#sizes].sort(([a], [b]) => a - b).map(([size, n]) => `${n} of ${size}`)
    const appends = [...this.#appends].map(([what, count]) => `${count} ${what}`)
    const faults = [...this.#faults].sort(([, a], [, b]) => b - a)
    return [
      `${this.runs} seeds in ${seconds.toFixed(0)} s: ${hours} simulated hours, ${this.#events} events (at least ${this.#eventsMin} each)`,
      `${this.#acked} appends acknowledged (at least ${this.#ackedMin} each), ${this.#reads} reads, ${this.#elections} terms with a leader, ${this.#lives} starts of replicas`,
      `clusters: ${sizes.join(', ')}`,
      `appends by members: ${appends.join(', ')}`,
      'how often each fault struck:',
      ...faults.map(([fault, count]) => `  ${String(count).padStart(9)}  ${fault}`),
    ].join('\n')
  }
}

function addTo(sums: Map<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [what, count] of Object.entries(counts)) {
    sums.set(what, (sums.get(what) ?? 0) + count)
  }
}
