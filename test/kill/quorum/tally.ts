// What the state machines of the processes count, in every member alike.
import type { MachineOptions } from 'tidemark/machine'

export interface Tally {
  count: number
  /** How often each command was executed. */
  times: Record<string, number>
}

/** Executes a command by counting it; the answer is how many there were. */
export function tallyOf(snapshotEntries: number): MachineOptions<Tally, string, number> {
  return {
    initial: () => ({ count: 0, times: {} }),
    apply(state, command) {
      state.times[command] = (state.times[command] ?? 0) + 1
      return ++state.count
    },
    snapshot: { entries: snapshotEntries },
  }
}
