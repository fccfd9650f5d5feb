import type { Fault, Field, Strike } from './fault.ts'

/** What a partition leaves on the small side, if it leaves a majority on the other. */
function strikeOf({ cluster }: Field, text: string, harmed: readonly number[]): Strike {
  return {
    text,
    harmed,
    async heal() {
      cluster.network.heal()
    },
  }
}

type Cutting = (field: Field, ids: readonly number[]) => Strike

const isolate: Cutting = (field, [one, ...others]) => {
  field.cluster.network.cut([one!], others)
  return strikeOf(field, `isolate ${one}`, [one!])
}

const halves: Cutting = (field, ids) => {
  const small = ids.slice(0, Math.floor(ids.length / 2))
  const large = ids.slice(small.length)
  field.cluster.network.cut(small, large)
  return strikeOf(field, `part ${small.join()} from ${large.join()}`, small)
}

const oneWay: Cutting = (field, [one, ...others]) => {
  const isHeard = field.draws.chance(0.5)
  const [from, to] = isHeard ? [others, [one!]] : [[one!], others]
  field.cluster.network.cut(from, to, true)
  return strikeOf(field, isHeard ? `${one} hears nobody` : `nobody hears ${one}`, [one!])
}

/** One member is reached by only one other. */
const bridge: Cutting = (field, [one, ...others]) => {
  const rest = others.slice(1)
  field.cluster.network.cut([one!], rest)
  return strikeOf(field, `${one} reaches only ${others[0]}`, [one!])
}

/** Each reaches only its two neighbours; of three, the first and the last do not reach each other. */
const ring: Cutting = (field, ids) => {
  const { network } = field.cluster
  for (let i = 0; i < ids.length; i++) {
    for (let j = i + 1; j < ids.length; j++) {
      const isNear = j - i === 1 || (ids.length > 3 && j - i === ids.length - 1)
      if (!isNear) network.cut([ids[i]!], [ids[j]!])
    }
  }
  return strikeOf(field, `ring ${ids.join('-')}`, ids)
}

/** Two halves that overlap in one member. */
const overlap: Cutting = (field, ids) => {
  const half = Math.floor((ids.length - 1) / 2)
  field.cluster.network.cut(ids.slice(0, half), ids.slice(half + 1))
  return strikeOf(field, `${ids[half]} alone reaches both halves`, ids)
}

const SHAPES = [isolate, halves, oneWay, bridge, ring, overlap]

/** One state of the network at a time: another shape over it would be neither. */
function alone(fault: Fault): Fault {
  return {
    ...fault,
    async strike(field) {
      const { network } = field.cluster
      if (network.isTaken) return undefined
      network.isTaken = true
      const strike = await fault.strike(field)
      return (
        strike && {
          ...strike,
          async heal() {
            await strike.heal()
            network.isTaken = false
          },
        }
      )
    },
  }
}

const links: Fault = alone({
  name: 'links',
  text: 'partitions of all shapes, both ways or one; connections stay, and nothing is heard',
  async strike(field) {
    const shape = field.draws.pick(SHAPES)
    return shape(field, field.draws.shuffle(field.cluster.ids))
  },
})

const slow: Fault = alone({
  name: 'slow',
  text: 'delays of up to 300 ms each way, and few bytes a second',
  async strike(field) {
    const { cluster, draws } = field
    const ids = draws.shuffle(cluster.ids)
    const slowed = ids.slice(0, draws.integer(1, ids.length))
    const delayMs = draws.integer(5, 300)
    const bytesPerSecond = draws.pick([20_000, 200_000, Number.POSITIVE_INFINITY])
    for (const id of slowed) {
      for (const other of ids) {
        if (other === id) continue
        Object.assign(cluster.network.flow(id, other), { delayMs, bytesPerSecond })
      }
    }
    return strikeOf(field, `slow ${slowed.join()}: ${delayMs} ms, ${bytesPerSecond} B/s`, slowed)
  },
})

/** All connections of a member end at once. */
const reset: Fault = {
  name: 'reset',
  text: 'all connections of a member end',
  async strike({ cluster, draws }) {
    const id = draws.pick(cluster.ids)
    cluster.network.reset(id)
    return { text: `reset the connections of ${id}`, harmed: [], async heal() {} }
  },
}

export const LINK_FAULTS: readonly Fault[] = [links, slow, reset]
