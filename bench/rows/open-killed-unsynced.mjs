import { killedRow } from './killed.mjs'

export const row = {
  ...killedRow('the same, and none of it was synced', 'never'),
  note: 'nothing proves that the segment is on the disk, so opening writes all of it again and syncs it.',
}
