import { TidemarkError } from '../base/index.ts'
import type { Cancel } from '../io/index.ts'
import { CATALOG_ID, CATALOG_NAME } from './catalog.ts'
import { catalogPlacement, keepCatalog } from './catalog-keeper.ts'
import type { Placement } from './catalog-state.ts'
import type { ReplicaId } from './core/index.ts'
import type { HostedLog } from './hosted-log.ts'
import type { HostedLogs } from './hosted-logs.ts'
import type { MemberContext } from './member-context.ts'
import { hasArrived, nextMembers } from './next-members.ts'
import { Refused } from './replica-host.ts'

/** How often a leader looks whether its logs are where they are to be. */
const LOOK_MS = 500
/** So long must another be fit to lead before it is handed what it is to lead; and between two attempts. */
const FIT_MS = 5_000

/** What a leader has seen of a log at the last look. */
interface Seen {
  readonly term: number
  /** What was committed then: who has it by now keeps up. */
  readonly committed: number
  readonly preferred: ReplicaId
  /** Since when the preferred one has been fit to lead, or was handed the lead last. */
  readonly fitSince: number | undefined
}

/**
 * Sees to it that the logs that this member leads have the members that the catalog says, and that who is to lead them
 * does: one step at a time, again and again, so that whoever leads next goes on where another has stopped.
 */
export class Keeper {
  readonly #context: MemberContext
  readonly #logs: HostedLogs
  /** Called with every look: what could not be done before is tried again. */
  readonly #onLook: () => Promise<void>
  readonly #seen = new Map<number, Seen>()
  /** What was told last of what: a mistake that is made at every look is told once. */
  readonly #told = new WeakMap<object, string>()
  #cancel: Cancel | undefined
  #looking: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(context: MemberContext, logs: HostedLogs, onLook: () => Promise<void>) {
    this.#context = context
    this.#logs = logs
    this.#onLook = onLook
    this.#wait()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancel?.()
    await this.#looking
  }

  #wait(): void {
    if (this.#isClosed) return
    this.#cancel = this.#context.clock.after(LOOK_MS, () => {
      this.#looking = this.#look().finally(() => this.#wait())
    })
  }

  async #look(): Promise<void> {
    await this.#attempt(this, CATALOG_NAME, this.#onLook)
    const { logs } = this.#context.catalog()
    const placements = new Map(logs.map(({ id, placement }) => [id, placement]))
    for (const hosted of this.#logs.all) {
      if (this.#isClosed) return
      // Of a thousand logs most need nothing, at most looks: that must cost next to nothing.
      if (!hosted.host?.isLeader) {
        this.#seen.delete(hosted.id)
        continue
      }
      if (!hosted.status?.isReady) continue
      const placement = placements.get(hosted.id)
      await this.#attempt(hosted, hosted.name, () => this.#keep(hosted, placement))
    }
  }

  /** What has failed is tried again at the next look. */
  async #attempt(of: object, log: string, act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      // It leads no more, another change is under way, or no quorum is there: it may be otherwise then.
      if (error instanceof TidemarkError || error instanceof Refused) return
      const text = String(error)
      if (this.#told.get(of) === text) return
      this.#told.set(of, text)
      this.#context.tell('failed', { log, error, retryMs: undefined })
    }
  }

  /** `seen`: of a log that is not the catalog, where it was to be when this look began. */
  async #keep(hosted: HostedLog, seen: Placement | undefined): Promise<void> {
    const placement = hosted.id === CATALOG_ID ? this.#placementOf(hosted) : seen
    if (hosted.id === CATALOG_ID) await keepCatalog(this.#context, hosted, this.#isCaughtUp(hosted))
    const { status } = hosted
    if (!placement || !status?.isSettled) return
    const isThere = hasArrived(status.members, placement)
    if (!isThere) await this.#step(hosted)
    else if (placement.leaving.length > 0) {
      const { leaving, version } = placement
      const left = { kind: 'left', id: hosted.id, members: leaving, version } as const
      await this.#context.catalog().execute(left)
    }
    this.#lead(hosted, placement)
  }

  #placementOf({ id }: HostedLog): Placement | undefined {
    const catalog = this.#context.catalog()
    if (id === CATALOG_ID) return catalogPlacement(catalog.state)
    return catalog.withId(id)?.placement
  }

  #isCaughtUp(hosted: HostedLog): (id: ReplicaId) => boolean {
    const { host } = hosted
    const seen = this.#seen.get(hosted.id)
    if (!host || seen?.term !== host.term) return () => false
    return (id) => {
      const progress = host.progress.get(id)
      return progress?.state === 'replicate' && progress.match >= seen.committed
    }
  }

  /**
   * Changes the members by one step. What the catalog says must not be older than the lead: else somebody could be made
   * a member again who was told meanwhile that it may delete its replica.
   */
  async #step(hosted: HostedLog): Promise<void> {
    const { host } = hosted
    if (!host) return
    const { term } = host
    await this.#context.catalog().latest()
    const placement = this.#placementOf(hosted)
    if (hosted.host !== host || !host.isLeader || host.term !== term || !placement) return
    const { members, isSettled } = host.status
    if (!isSettled) return
    const next = nextMembers(members, placement, this.#isCaughtUp(hosted))
    if (next) await host.change({ ...next, outgoing: [] })
  }

  /** Hands the lead to who is to have it, once that one has been fit for it for a while. */
  #lead(hosted: HostedLog, { preferred }: Placement): void {
    const { host } = hosted
    if (!host?.isLeader) return
    const { term } = host
    const { committed, members } = host.status
    const before = this.#seen.get(hosted.id)
    const now = this.#context.clock.monotonic()
    const progress = host.progress.get(preferred)
    const isFit =
      members.voters.includes(preferred) &&
      this.#context.connected().includes(preferred) &&
      progress?.state === 'replicate' &&
      progress.match >= (before?.committed ?? Number.POSITIVE_INFINITY)
    let fitSince = isFit ? (before?.fitSince ?? now) : undefined
    // Somebody has just said so: then it need not prove itself for long.
    const isTold = before !== undefined && before.term === term && before.preferred !== preferred
    if (isFit && (isTold || now - fitSince! >= FIT_MS)) {
      fitSince = now
      host.step({ kind: 'transfer', to: preferred })
    }
    // A change that could not be followed at once is still new at the next look.
    const seenPreferred = isTold && !isFit ? before.preferred : preferred
    this.#seen.set(hosted.id, { term, committed, preferred: seenPreferred, fitSince })
  }
}
