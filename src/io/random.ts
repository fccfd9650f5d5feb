import { getU32 } from '../base/index.ts'

/** The port to randomness. */
export interface Random {
  /** A uniformly distributed integer in [0, 2^32). */
  uint32(): number
}

/** Node loads the global `crypto` when it is first touched; `node:crypto` would cost every import of the library 3 ms. */
export function randomBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count))
}

export const nodeRandom: Random = {
  uint32: () => getU32(randomBytes(4), 0),
}

/** A random source that is a pure function of its seed (mulberry32), for tests and simulations. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return {
    uint32() {
      state = (state + 0x6d2b79f5) >>> 0
      let word = Math.imul(state ^ (state >>> 15), 1 | state)
      word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word
      return (word ^ (word >>> 14)) >>> 0
    },
  }
}
