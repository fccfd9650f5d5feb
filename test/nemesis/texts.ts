// Entries are known by a name, from which all of their bytes follow: only names go between the processes.

const PADDING = 'all hands to the pumps, '.repeat(170)
const LONGEST = 1200
/** Of those whose names begin so. */
const WIDE = 'w'
const WIDEST = 4000

/** The whole text of an entry. */
export function textOf(name: string): string {
  const hash = hashOf(name)
  const longest = name.startsWith(WIDE) ? WIDEST : hash % 16 === 0 ? LONGEST : 150
  const length = hash % longest
  return `${name}|${hash.toString(16)}|${PADDING.slice(0, length)}`
}

/** The name of an entry, if it is what was appended byte for byte; otherwise what it is. */
export function nameOf(text: string): string {
  const name = text.slice(0, Math.max(0, text.indexOf('|')))
  return textOf(name) === text ? name : `not as it was appended: ${JSON.stringify(text)}`
}

/** What is hashed of an entry where whole logs are compared. */
export function digestOf(offset: number, name: string): string {
  return `${offset} ${name}\n`
}

function hashOf(name: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
