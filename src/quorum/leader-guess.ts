import { NOBODY, type ReplicaId } from './core/index.ts'
import type { MemberContext } from './member-context.ts'

/** Whom to ask to lead while there is no replica here that would know: who led last, then who others say. */
export class LeaderGuess {
  readonly #context: Pick<MemberContext, 'id' | 'connected'>
  #guess: ReplicaId = NOBODY

  constructor(context: Pick<MemberContext, 'id' | 'connected'>) {
    this.#context = context
  }

  get leader(): ReplicaId {
    return this.#guess !== NOBODY ? this.#guess : (this.#context.connected()[0] ?? NOBODY)
  }

  /** The replica here ends: this member leads no more. */
  led(id: ReplicaId): void {
    if (id !== this.#context.id) this.#guess = id
  }

  /** Who was asked does not lead, or has not answered, and says who does; nobody: the next is asked. */
  refused(by: ReplicaId, said: ReplicaId): void {
    const others = this.#context.connected()
    const next = others.find((id) => id > by) ?? others[0] ?? NOBODY
    this.#guess = said !== NOBODY && said !== this.#context.id ? said : next
  }
}
