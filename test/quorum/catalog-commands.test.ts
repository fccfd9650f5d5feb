import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TidemarkError } from 'tidemark'
import { applyCatalog, type CatalogCommand } from '#dist/quorum/catalog-commands.js'
import {
  activeMembers,
  type CatalogLog,
  type CatalogState,
  hostsOf,
  initialCatalog,
} from '#dist/quorum/catalog-state.js'
import type { Draws } from '#dist/simulation/index.js'
import { seededCases } from './seeded-cases.ts'

const design = { segmentBytes: 65536, maxEntryBytes: 1024 }

/** A catalog, and what is asked of it. */
class Asked {
  readonly state: CatalogState = initialCatalog()
  #offset = 1

  do(command: CatalogCommand): unknown {
    return applyCatalog(this.state, command, this.#offset++)
  }

  begin(count: number): this {
    const members = Array.from({ length: count }, (_, i) => ({ id: i + 1, address: `h${i + 1}:1` }))
    this.do({ kind: 'begin', members })
    return this
  }

  log(name: string, replicas?: number, by = 1): CatalogLog {
    const own = { ...design, replicas: replicas ?? 3 }
    return this.do({ kind: 'create', name, voters: [1, 2, 3], design: own, by }) as CatalogLog
  }

  placement(name: string) {
    return this.state.logs.find((log) => log.name === name)!.placement
  }

  join(id: number): void {
    this.do({ kind: 'add-member', id, address: `h${id}:1` })
    this.do({ kind: 'joined', id })
  }

  /** Does what members do: those who are leaving a log are out of it, and delete what they had. */
  settle(): void {
    for (const [member, logs] of Object.entries(this.state.toDelete)) {
      this.do({ kind: 'gone', member: Number(member), logs })
    }
    for (let i = 0; i < 100; i++) {
      const log = this.state.logs.find(({ placement }) => placement.leaving.length > 0)
      if (!log) break
      const { leaving: members, version } = log.placement
      this.do({ kind: 'left', id: log.id, members, version })
      for (const member of members) this.do({ kind: 'gone', member, logs: [log.id] })
    }
  }
}

function countsOf({ logs, members }: CatalogState): number[] {
  return members.map(({ id }) => {
    return logs.filter(({ placement }) => placement.replicas.includes(id)).length
  })
}

describe('the catalog', () => {
  it('places a log on three members, or on as many as it asks for, with fewest first', () => {
    const asked = new Asked().begin(5)
    assert.deepEqual(asked.log('a').placement.replicas, [1, 2, 3])
    assert.deepEqual(asked.log('b', 3, 5).placement.replicas, [1, 4, 5])
    assert.deepEqual(asked.log('c', 7).placement.replicas, [1, 2, 3, 4, 5])
    assert.deepEqual(asked.log('d', 1, 3).placement.replicas, [3])
  })

  it('gives a log the replicas that it wants when there are enough members', () => {
    const asked = new Asked().begin(1)
    asked.log('a')
    asked.join(2)
    assert.deepEqual(asked.placement('a').replicas, [1, 2])
    asked.join(3)
    asked.join(4)
    assert.deepEqual(asked.placement('a').replicas, [1, 2, 3])
  })

  it('moves what a leaving member has, and lets it go only then', () => {
    const asked = new Asked().begin(4)
    const { id } = asked.log('a')
    asked.do({ kind: 'remove-member', id: 2 })
    const { replicas, leaving, version } = asked.placement('a')
    assert.deepEqual([replicas, leaving], [[1, 3, 4], [2]])
    asked.do({ kind: 'removed', id: 2 })
    assert.equal(asked.state.members.length, 4, 'it is in a log still')
    asked.do({ kind: 'left', id, members: [2], version: version - 1 })
    assert.deepEqual(asked.placement('a').leaving, [2], 'said of an earlier placement')
    asked.do({ kind: 'left', id, members: [2], version })
    assert.deepEqual(asked.state.toDelete, { 2: [id] })
    asked.do({ kind: 'removed', id: 2 })
    assert.deepEqual([asked.state.removed, asked.state.toDelete], [[2], {}])
    assert.throws(() => asked.do({ kind: 'add-member', id: 2, address: 'h:9' }), /was removed/)
  })

  it('has all who have ever had a log delete it, and nobody who is no member', () => {
    const asked = new Asked().begin(5)
    const { id } = asked.log('a')
    const away = (member: number) => {
      asked.do({ kind: 'remove-member', id: member })
      const { version } = asked.placement('a')
      asked.do({ kind: 'left', id, members: [member], version })
    }
    away(1)
    asked.do({ kind: 'removed', id: 1 })
    away(2)
    asked.do({ kind: 'gone', member: 2, logs: [id] })
    away(3)
    assert.deepEqual(asked.placement('a').replicas, [4, 5])
    asked.do({ kind: 'delete', id })
    assert.deepEqual(asked.state.toDelete, { 2: [id], 3: [id], 4: [id], 5: [id] })
  })

  it('puts no replica where another is still to be deleted', () => {
    const asked = new Asked().begin(4)
    const { id } = asked.log('a')
    asked.do({ kind: 'remove-member', id: 1 })
    const { version } = asked.placement('a')
    asked.do({ kind: 'left', id, members: [1], version })
    asked.do({ kind: 'removed', id: 1 })
    asked.state.toDelete[4] = [id]
    asked.do({ kind: 'remove-member', id: 3 })
    assert.deepEqual(asked.placement('a').replicas, [2, 4])
  })

  it('keeps a replica that a program reads from, though it has no vote any more', () => {
    const asked = new Asked().begin(4)
    const { id } = asked.log('a')
    const log = asked.state.logs[0]!
    asked.state.logs[0] = {
      ...log,
      placement: { ...log.placement, replicas: [1, 2, 4], leaving: [3] },
    }
    asked.do({ kind: 'left', id, members: [3], version: 0 })
    assert.equal(asked.do({ kind: 'follow', id, member: 3 }), false)
    assert.equal(asked.do({ kind: 'follow', id, member: 3, keeps: true }), true)
    assert.deepEqual(asked.placement('a').learners, [3])
    assert.deepEqual(asked.state.toDelete, {})
  })

  it('evens out when a member comes, a few logs at a time', () => {
    const asked = new Asked().begin(3)
    for (let i = 0; i < 40; i++) asked.log(`log-${i}`)
    asked.join(4)
    const moving = () => asked.state.logs.filter(({ placement }) => placement.leaving.length > 0)
    assert.equal(moving().length, 8)
    asked.settle()
    assert.deepEqual(countsOf(asked.state), [30, 30, 30, 30])
  })

  it('keeps to its rules whatever is asked', (t) => seededCases(t, 200, check))
})

function check(draws: Draws): void {
  const asked = new Asked().begin(draws.integer(1, 5))
  for (let i = 0; i < 60; i++) {
    try {
      asked.do(draw(asked.state, draws))
    } catch (error) {
      assert.ok(error instanceof TidemarkError, String(error))
    }
    checkRules(asked.state)
  }
  asked.settle()
  checkRules(asked.state)
  const active = activeMembers(asked.state)
  for (const log of asked.state.logs) {
    const { replicas } = log.placement
    assert.ok(replicas.length >= Math.min(log.replicas, active.length))
    const isActive = replicas.every((id) => active.includes(id))
    assert.ok(isActive || active.length === 0)
  }
}

function draw(state: CatalogState, draws: Draws): CatalogCommand {
  const id = draws.integer(1, 9)
  const log = state.logs.length > 0 ? draws.pick(state.logs) : undefined
  const at = log?.id ?? 1
  const member = id
  switch (draws.integer(0, 8)) {
    case 0: {
      const own = { ...design, replicas: draws.integer(1, 5) }
      return {
        kind: 'create',
        name: `log-${draws.integer(0, 7)}`,
        voters: [1],
        design: own,
        by: id,
      }
    }
    case 1:
      return { kind: 'add-member', id, address: `h${id}:1` }
    case 2:
      return { kind: 'joined', id }
    case 3:
      return draws.integer(0, 2) === 0 ? { kind: 'remove-member', id } : { kind: 'removed', id }
    case 4: {
      const { leaving = [], version = 0 } = log?.placement ?? {}
      return { kind: 'left', id: at, members: leaving, version: version - draws.integer(0, 1) }
    }
    case 5:
      return { kind: 'gone', member, logs: state.toDelete[member] ?? [] }
    case 6:
      return { kind: 'follow', id: at, member, keeps: draws.integer(0, 1) === 0 }
    case 7:
      return { kind: 'prefer', id: at, member }
    default:
      return draws.integer(0, 3) === 0 ? { kind: 'delete', id: at } : { kind: 'joined', id }
  }
}

function checkRules(state: CatalogState): void {
  for (const { id, placement } of state.logs) {
    const hosts = hostsOf(placement)
    assert.equal(new Set(hosts).size, hosts.length, 'once on each')
    assert.ok(placement.replicas.length > 0, 'somebody votes')
    assert.ok(placement.replicas.includes(placement.preferred), 'who leads has a vote')
    for (const member of hosts) {
      assert.ok(!state.toDelete[member]?.includes(id), 'nobody deletes what it is to have')
      assert.ok(
        state.members.some((each) => each.id === member),
        'members only',
      )
    }
  }
}
