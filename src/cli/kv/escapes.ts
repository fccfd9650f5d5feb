// How any text becomes one field of one line: a TAB ends a key, a newline ends a line.

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
}
const MEANINGS: Readonly<Record<string, string>> = { '\\': '\\', t: '\t', n: '\n', r: '\r' }

export function escaped(text: string): string {
  return text.replace(/[\\\t\n\r]/g, (character) => ESCAPES[character]!)
}

/** Undoes {@link escaped}. Throws what `wrong` makes of the first escape that there is not. */
export function unescaped(text: string, wrong: (pair: string) => Error): string {
  if (!text.includes('\\')) return text
  return text.replace(/\\(.?)/gsu, (pair, letter: string) => {
    const meaning = Object.hasOwn(MEANINGS, letter) ? MEANINGS[letter] : undefined
    if (meaning === undefined) throw wrong(pair)
    return meaning
  })
}
