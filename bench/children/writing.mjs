import { concurrently, perSecond, typicalMicros } from '../measure.mjs'
import { payloads } from '../stores.mjs'

/** The two figures of one who writes entries of 128 bytes with `write`, which resolves when one is safe. */
export function writing(write) {
  const data = payloads()
  return {
    /** The median time of one after the other, in µs. */
    one: ({ count }) => typicalMicros(count, (i) => write(data[i & 63])),
    /** How many a second, with so many at a time. */
    many: ({ count, writers }) =>
      perSecond(count, () => concurrently(writers, count, (i) => write(data[i & 63]))),
  }
}
