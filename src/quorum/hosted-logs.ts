import type { HostedLog } from './hosted-log.ts'

/** The replicas on a member, by the numbers of their logs. */
export class HostedLogs {
  readonly #logs = new Map<number, HostedLog>()
  /** Why logs could not be opened, by their numbers. */
  readonly failures = new Map<number, unknown>()

  /** In the order in which they were added. */
  get all(): HostedLog[] {
    return [...this.#logs.values()]
  }

  get(id: number): HostedLog | undefined {
    return this.#logs.get(id)
  }

  byName(name: string): HostedLog | undefined {
    return this.all.find((log) => log.name === name)
  }

  add(log: HostedLog): void {
    this.#logs.set(log.id, log)
    this.failures.delete(log.id)
  }

  remove(log: HostedLog): void {
    this.#logs.delete(log.id)
  }
}
