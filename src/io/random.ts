/** The port to randomness. */
export interface Random {
  /** A uniformly distributed integer in [0, 2^32). */
  uint32(): number
}

export const nodeRandom: Random = {
  // The global one: to import `node:crypto` would cost every program a part of its start.
  uint32: () => crypto.getRandomValues(new Uint32Array(1))[0]!,
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
