/** Every seed that ever failed. What it draws may have changed since; it stays all the same. */
export const CORPUS: readonly number[] = [
  2, 4, 14, 21, 34, 37, 40, 43, 53, 56, 79, 97, 101, 136, 141, 405, 426, 501, 611, 641, 1240, 5056,
  5060, 5438, 5475, 237, 101171, 201251,
]
