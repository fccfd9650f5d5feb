// Loaded by the command when it runs: what stands behind it is not for the others to pay for.
export { get, info, list, watch } from './reading.ts'
export { compareAndSet, deletion, set, snapshot } from './writing.ts'
