// How many cases a test takes: all of them would make `npm test` slow, and are left to `npm run cases`.

export const isEveryCase = process.env.TIDEMARK_CASES === 'all'

/** `all` of them with `npm run cases`; otherwise `some`, which must do for every run of the tests. */
export function caseCount(all: number, some: number): number {
  return isEveryCase ? all : some
}

/** All of these with `npm run cases`; otherwise every `stride`-th, beginning with the first. */
export function casesOf<T>(all: readonly T[], stride: number): readonly T[] {
  return isEveryCase ? all : all.filter((_, i) => i % stride === 0)
}
