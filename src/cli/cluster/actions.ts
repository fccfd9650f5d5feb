// Loaded by the command when it runs: what stands behind it is not for the others to pay for.
export { add, remove } from './membership.ts'
export { deleteLog, scrub, transfer } from './orders.ts'
export { unsafeRecover } from './recovery.ts'
export { status } from './status.ts'
export { exportLog, importLog } from './transfers.ts'
