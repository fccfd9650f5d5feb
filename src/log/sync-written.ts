import { invariant } from '../base/index.ts'
import type { Steps } from './steps.ts'
import type { WriterState } from './writer-state.ts'

/** Makes all that was written durable and raises the synced mark. */
export function* syncWritten(w: WriterState): Steps {
  const { active } = w
  const { endOffset } = active
  if (w.syncedMark >= endOffset) return
  const { clock } = w.settings
  const begun = clock.monotonic()
  // A sync that the blocking driver has overtaken and that fails afterwards is a failed sync.
  yield w.store.sync((error) => {
    w.poisonWith(error)
  })
  invariant(w.active === active, 'the active segment does not change under a sync')
  w.syncedMark = Math.max(w.syncedMark, endOffset)
  w.meter.synced(clock.monotonic() - begun, endOffset)
}
