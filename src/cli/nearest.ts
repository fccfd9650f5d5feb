/** How many single-character changes, or swaps of neighbours, make `b` of `a`. */
function distance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next[j] = Math.min(change, row[j]! + 1, next[j - 1]! + 1)
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        next[j] = Math.min(next[j]!, before[j - 2]! + 1)
      }
    }
    before = row
    row = next
  }
  return row[b.length]!
}

/** The name that was probably meant by `word`, or undefined if none is near. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const name of names) {
    const changes = word !== '' && name.startsWith(word) ? 1 : distance(word, name)
    if (changes >= least) continue
    best = name
    least = changes
  }
  return best
}

/** `; did you mean x?` if some name is near, else what there is. */
export function suggestion(word: string, names: readonly string[]): string {
  const near = nearest(word, names)
  return near === undefined ? `there is ${names.join(', ')}` : `did you mean ${near}?`
}
