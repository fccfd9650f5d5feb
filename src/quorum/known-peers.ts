import type { CatalogState } from './catalog-state.ts'
import type { ReplicaId } from './core/index.ts'

/** Where connections with members are made and ended. */
interface Connections {
  setPeer(id: ReplicaId, address: string): void
  dropPeer(id: ReplicaId): void
}

/** Has a member connect with those who the catalog says are members, where it says that they are. */
export class KnownPeers {
  readonly #own: ReplicaId
  /** Addresses as the catalog had them last: of those that were given, as they say themselves. */
  readonly #addresses = new Map<ReplicaId, string>()
  /** Said by whoever has started the member, which may know better than what the catalog had by then. */
  readonly #given: ReadonlyMap<ReplicaId, string>
  /** Who has said since where they are. */
  readonly #moved = new Map<ReplicaId, string>()
  readonly #removed = new Set<ReplicaId>()

  constructor(own: ReplicaId, given: ReadonlyMap<ReplicaId, string>) {
    this.#own = own
    this.#given = given
  }

  /** The others that are to be connected with, and where they are, in order of their ids. */
  get all(): { readonly id: ReplicaId; readonly address: string }[] {
    const known = new Map([...this.#addresses, ...this.#given])
    for (const [id, address] of this.#moved) known.set(id, address)
    return [...known]
      .filter(([id]) => !this.#removed.has(id) && id !== this.#own)
      .map(([id, address]) => ({ id, address }))
      .sort((a, b) => a.id - b.id)
  }

  isRemoved(id: ReplicaId): boolean {
    return this.#removed.has(id)
  }

  /** True if anything has changed. */
  follow({ members, removed }: Readonly<CatalogState>, connections: Connections): boolean {
    let hasChanged = false
    for (const { id, address, isOwnWord } of members) {
      const before = this.#addresses.get(id)
      const isGiven = this.#given.has(id)
      if (id === this.#own || before === address || (isGiven && !isOwnWord)) continue
      this.#addresses.set(id, address)
      hasChanged = true
      // As long as a member does not move, it is where this one was told that it is.
      if (before === undefined && isGiven) continue
      this.#moved.set(id, address)
      connections.setPeer(id, address)
    }
    for (const id of removed) {
      if (this.#removed.has(id)) continue
      this.#removed.add(id)
      this.#addresses.delete(id)
      hasChanged = true
      if (id !== this.#own) connections.dropPeer(id)
    }
    return hasChanged
  }
}
