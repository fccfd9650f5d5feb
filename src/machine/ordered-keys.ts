import { TidemarkError } from '../base/index.ts'
import type { KeyIndex } from './map-state.ts'
import { UnreadableCommand } from './unreadable.ts'

/** What is used of the tree. */
interface Tree<K> {
  set(key: K, value: undefined): boolean
  delete(key: K): boolean
  minKey(): K | undefined
  maxKey(): K | undefined
  nextHigherKey(key: K): K | undefined
  nextLowerKey(key: K): K | undefined
  has(key: K): boolean
}

export interface Range<K> {
  /** The first key; from the lowest if it is left out. */
  readonly from?: K | undefined
  /** The key to stop before; to the highest if it is left out. */
  readonly to?: K | undefined
  /** Keys that begin with this; for maps whose keys are strings. */
  readonly prefix?: string | undefined
  readonly reverse?: boolean | undefined
  /** So many at most. */
  readonly limit?: number | undefined
}

/** The keys of a map in their order, in a B+ tree. */
export class OrderedKeys<K> implements KeyIndex {
  readonly #tree: Tree<K>
  readonly #decode: (key: Buffer) => K

  private constructor(tree: Tree<K>, decode: (key: Buffer) => K) {
    this.#tree = tree
    this.#decode = decode
  }

  /** Loads the library of the tree, which only those need who ask for order. Throws NOT_FOUND without it. */
  static async maker<K>(decode: (key: Buffer) => K): Promise<() => OrderedKeys<K>> {
    let BTree: new () => Tree<K>
    try {
      const module = (await import('sorted-btree')) as unknown as {
        default: { default: new () => Tree<K> }
      }
      BTree = module.default.default
    } catch (error) {
      const message = 'an ordered map needs the package sorted-btree: npm install sorted-btree'
      throw new TidemarkError('NOT_FOUND', message, {}, error)
    }
    return () => new OrderedKeys(new BTree(), decode)
  }

  /** Throws INVALID_ARGUMENT if a key has no place in the order: `<` says nothing of it. */
  check(bytes: Uint8Array): void {
    const key = this.#decode(Buffer.from(bytes))
    const kind = typeof key
    if (kind === 'string' || kind === 'bigint' || (kind === 'number' && !Number.isNaN(key))) return
    const message = `an ordered map takes keys that are strings, numbers or bigints, not ${kind}`
    throw new TidemarkError('INVALID_ARGUMENT', message)
  }

  /** The key was checked when it was set; another codec, or a map that was not ordered, may have let it in. */
  add(key: Buffer): void {
    try {
      this.check(key)
    } catch (error) {
      throw new UnreadableCommand('a key of the map has no place in its order', error)
    }
    this.#tree.set(this.#decode(key), undefined)
  }

  remove(key: Buffer): void {
    this.#tree.delete(this.#decode(key))
  }

  /**
   * The keys of a range, each looked up when it is asked for: so the map may change meanwhile, and what is changed
   * behind the last one shows.
   */
  *range({ from, to, prefix, reverse = false }: Omit<Range<K>, 'limit'>): Generator<K> {
    const low = higher(from, prefix as K | undefined)
    const isIn = (key: K): boolean => {
      if (low !== undefined && isBelow(key, low)) return false
      if (to !== undefined && !isBelow(key, to)) return false
      return prefix === undefined || (key as string).startsWith(prefix)
    }
    let key = reverse ? this.#highest(to, prefix) : this.#lowest(low)
    while (key !== undefined && isIn(key)) {
      yield key
      key = reverse ? this.#tree.nextLowerKey(key) : this.#tree.nextHigherKey(key)
    }
  }

  #lowest(low: K | undefined): K | undefined {
    if (low === undefined) return this.#tree.minKey()
    return this.#tree.has(low) ? low : this.#tree.nextHigherKey(low)
  }

  #highest(to: K | undefined, prefix: string | undefined): K | undefined {
    const end = prefix === undefined ? undefined : (behind(prefix) as K | undefined)
    const before = to !== undefined && (end === undefined || isBelow(to, end)) ? to : end
    return before === undefined ? this.#tree.maxKey() : this.#tree.nextLowerKey(before)
  }
}

/** As the tree compares keys: numbers as numbers, strings by their units of UTF-16. */
function isBelow(a: unknown, b: unknown): boolean {
  return (a as string) < (b as string)
}

function higher<K>(a: K | undefined, b: K | undefined): K | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return isBelow(a, b) ? b : a
}

/** The lowest string that is higher than all that begin with the prefix; undefined if there is none. */
function behind(prefix: string): string | undefined {
  for (let at = prefix.length - 1; at >= 0; at--) {
    const code = prefix.charCodeAt(at)
    if (code < 0xffff) return prefix.slice(0, at) + String.fromCharCode(code + 1)
  }
  return undefined
}
