import assert from 'node:assert/strict'
import { type Acks, type Batch, type MessageKind, membersOf } from '#dist/quorum/core/index.js'
import { proposal } from './array-replica.ts'
import type { Pick, ScenarioCluster } from './scenario-cluster.ts'
import { log, message, status } from './scenario-print.ts'

type Verb = (cluster: ScenarioCluster, words: string[]) => void

/** The numbers that follow a word, up to the next word. */
function after(words: readonly string[], name: string): number[] | undefined {
  const at = words.indexOf(name)
  if (at < 0) return undefined
  const rest = words.slice(at + 1)
  const end = rest.findIndex((word) => !/^\d/.test(word))
  return rest.slice(0, end < 0 ? undefined : end).map(Number)
}

/** `3 1-5` are 3, 1, 2, 3, 4, 5. */
function numbers(words: readonly string[]): number[] {
  return words.flatMap((word) => {
    const [from, to] = word.split('-').map(Number)
    return to === undefined ? [from] : Array.from({ length: to - from + 1 }, (_, i) => from + i)
  })
}

/** `1->2 append`: from whom, to whom, of what kind; each may be left out. */
function pickOf(words: readonly string[]): Pick {
  const way = words.find((word) => word.includes('->'))
  const [from, to] = way?.split('->').map((id) => (id ? Number(id) : undefined)) ?? []
  const kind = words.find((word) => !word.includes('->')) as MessageKind | undefined
  return { from, to, kind }
}

/** Whoever is named, or everybody. */
function some(cluster: ScenarioCluster, words: readonly string[]): number[] {
  return words.length > 0 ? numbers(words) : [...cluster.replicas.keys()]
}

/** `replicas 1-3`: they make a cluster, with nothing in their logs. `replicas 4 of nobody` knows of none. */
const replicas: Verb = (cluster, words) => {
  const at = words.indexOf('of')
  const ids = numbers(at < 0 ? words : words.slice(0, at))
  const of = at < 0 ? ids : words[at + 1] === 'nobody' ? [] : numbers(words.slice(at + 1))
  for (const id of ids) cluster.create(id, of).start()
}

/** `log 1: 1 1 4 term 5 shown 1`: what a replica has on its disk when it starts. */
const preset: Verb = (cluster, [name, ...words]) => {
  const replica = cluster.at(Number(name.replace(':', '')))
  const end = words.findIndex((word) => /^[a-z]/.test(word))
  const terms = words.slice(0, end < 0 ? undefined : end).map(Number)
  const { disk } = replica
  disk.batches = terms.map((term, start): Batch => {
    return { term, start, end: start + 1, bytes: 10, kind: 'data', payload: `${start} of ${term}` }
  })
  const term = after(words, 'term')?.[0] ?? disk.last.term
  disk.hard = { ...disk.hard, term, vote: after(words, 'vote')?.[0] ?? 0 }
  disk.shown = after(words, 'shown')?.[0] ?? 0
  replica.start()
}

/** `propose 1 #7 acks leader bytes 40`. */
const propose: Verb = (cluster, [id, name, ...words]) => {
  const acks = (words[words.indexOf('acks') + 1] as Acks) ?? 'quorum'
  const bytes = after(words, 'bytes')?.[0] ?? 10
  const width = after(words, 'offsets')?.[0] ?? 1
  const chosen = words.includes('acks') ? acks : 'quorum'
  cluster.step(Number(id), proposal(Number(name.slice(1)), chosen, width, bytes))
}

/** `change 1 #9 to 1 2 4 learners 5`. */
const change: Verb = (cluster, [id, name, ...words]) => {
  const target = membersOf(after(words, 'to')!, after(words, 'learners'))
  cluster.step(Number(id), { kind: 'change', id: Number(name.slice(1)), target })
}

const drop: Verb = (cluster, words) => {
  for (const { from, to, message: it } of cluster.pick(pickOf(words))) {
    cluster.say(`${from}->${to} ${message(it)} (dropped)`)
  }
}

/** The messages that are meant will come twice. */
const duplicate: Verb = (cluster, words) => {
  const letters = cluster.pick(pickOf(words))
  assert.ok(letters.length > 0, 'there is something to duplicate')
  cluster.repeat([...letters, ...letters])
}

/** `once`: what is under way now, and not what follows from it. `first`: only the first of these. */
const once: Verb = (cluster, words) => cluster.deliver(cluster.pick(pickOf(words)))

const first: Verb = (cluster, words) => {
  const [letter, ...others] = cluster.pick(pickOf(words))
  assert.ok(letter, 'there is something to deliver')
  cluster.letters = [...others, ...cluster.letters]
  cluster.deliver([letter])
}

/** `disk 1 by hand`, `disk 1 auto`. */
const disk: Verb = (cluster, [id, how]) => {
  const replica = cluster.at(Number(id))
  replica.isAuto = how === 'auto'
  if (replica.isAuto) cluster.persist(replica.id)
}

const restart: Verb = (cluster, words) => {
  for (const id of some(cluster, words)) {
    cluster.at(id).start()
    cluster.say(status(cluster.at(id)))
  }
}

/** `damage 2 hole 3 5`, `damage 2 end 4`: of a replica that is down. */
const damage: Verb = (cluster, [id, ...words]) => {
  const replica = cluster.at(Number(id))
  assert.equal(replica.core, undefined, 'damage is found at a start')
  const [from, to] = after(words, 'hole') ?? []
  if (to !== undefined) replica.disk.damage(from, to)
  const [end] = after(words, 'end') ?? []
  if (end !== undefined) replica.disk.loseEnd(end)
  cluster.say(`${id}: ${log(replica)}`)
}

const progress: Verb = (cluster, [id]) => {
  for (const [other, { match, state }] of cluster.at(Number(id)).core!.progress) {
    cluster.say(`${other} ${state} match ${match}`)
  }
}

/** `tick 3`: everybody three times; `tick 3 of 1`: only replica 1. */
const tick: Verb = (cluster, [count, , ...ids]) => {
  for (let i = 0; i < Number(count); i++) {
    for (const id of some(cluster, ids)) cluster.step(id, { kind: 'tick' })
  }
}

export const VERBS: Readonly<Record<string, Verb>> = {
  replicas,
  log: preset,
  /** Before `replicas`: other settings than those of the tests. */
  set: (cluster, [name, value]) => {
    cluster.tuning = { ...cluster.tuning, [name]: Number(value) }
  },
  tick,
  /** `unreachable 1 of 2`: replica 2 hears that nobody is where 1 was. */
  unreachable: (cluster, [id, , at]) => {
    cluster.step(Number(at), { kind: 'unreachable', id: Number(id) })
  },
  /** `committed 2 4@t1`: replica 2 hears that what ends there is committed. */
  committed: (cluster, [id, place]) => {
    const [mark, term] = place.split('@t').map(Number)
    cluster.step(Number(id), { kind: 'committed', point: { term: term!, mark: mark! } })
  },
  campaign: (cluster, [id]) => cluster.step(Number(id), { kind: 'campaign' }),
  propose,
  read: (cluster, [id, name]) => {
    cluster.step(Number(id), { kind: 'read', id: Number(name.slice(1)) })
  },
  change,
  transfer: (cluster, [id, , to]) => {
    cluster.step(Number(id), { kind: 'transfer', to: Number(to) })
  },
  trim: (cluster, [id, , mark]) => cluster.step(Number(id), { kind: 'trim', mark: Number(mark) }),
  /** Until nothing is under way. */
  deliver: (cluster, words) => cluster.settle(pickOf(words), false),
  /** The same, but without the messages themselves. */
  settle: (cluster, words) => cluster.settle(pickOf(words), true),
  once,
  first,
  drop,
  duplicate,
  disk,
  persist: (cluster, [id, count]) => {
    assert.ok(cluster.persist(Number(id), count ? Number(count) : undefined), 'there is work')
  },
  'io-error': (cluster, [id]) => cluster.step(Number(id), { kind: 'io-error' }),
  'snapshot-sent': (cluster, [way, how]) => {
    const { from, to } = pickOf([way])
    cluster.step(from!, { kind: 'snapshot-sent', to: to!, ok: how === 'ok' })
  },
  crash: (cluster, words) => {
    for (const id of numbers(words)) cluster.at(id).crash()
  },
  /** `crash-within 2 1`: while the disk does the next piece, of which only so many parts are done. */
  'crash-within': (cluster, [id, parts]) => {
    const { disk, pieces } = cluster.at(Number(id))
    assert.ok(pieces[0], 'there is work')
    disk.write(pieces[0], Number(parts))
    cluster.at(Number(id)).crash()
  },
  restart,
  damage,
  status: (cluster, words) => {
    for (const id of some(cluster, words)) cluster.say(status(cluster.at(id)))
  },
  progress,
}
