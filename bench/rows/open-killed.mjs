import { killedRow } from './killed.mjs'

export const row = killedRow('open after kill -9, segment of 64 MiB full', 'always')
