import { Link } from './link.ts'

interface Way {
  readonly from: number
  readonly to: number
  readonly link: Link
}

/** A link from each member to each other one, so that any of them can be cut off. */
export class Network {
  readonly #ways: readonly Way[]

  private constructor(ways: readonly Way[]) {
    this.#ways = ways
  }

  static async open(ids: readonly number[]): Promise<Network> {
    const pairs = ids.flatMap((from) => ids.filter((to) => to !== from).map((to) => ({ from, to })))
    const ways = await Promise.all(
      pairs.map(async (pair) => ({ ...pair, link: await Link.open() })),
    )
    return new Network(ways)
  }

  /** Where a member finds the others. */
  addressesFor(id: number): Record<number, string> {
    const ways = this.#ways.filter(({ from }) => from === id)
    return Object.fromEntries(ways.map(({ to, link }) => [to, link.address]))
  }

  /** A member listens at this port of the loopback. */
  isUp(id: number, port: number): void {
    for (const { to, link } of this.#ways) if (to === id) link.leadTo(port)
  }

  isDown(id: number): void {
    for (const { to, link } of this.#ways) if (to === id) link.leadNowhere()
  }

  cut(id: number): void {
    for (const { from, to, link } of this.#ways) if (from === id || to === id) link.cut()
  }

  heal(id: number): void {
    for (const { from, to, link } of this.#ways) if (from === id || to === id) link.heal()
  }

  close(): void {
    for (const { link } of this.#ways) link.close()
  }
}
