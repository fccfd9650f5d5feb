// `npm run sim`: clusters that are simulated from seeds, or with `--days=N` days of one log.
const { argv } = process
const isDays = argv.some((word) => word === '--days' || word.startsWith('--days='))
await (isDays ? import('./days.ts') : import('../quorum/sim/main.ts'))
