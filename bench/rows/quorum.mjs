import { closeSync, fdatasync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { preallocate } from '../disk.mjs'
import { typicalMicros } from '../measure.mjs'
import { payloads } from '../stores.mjs'
import { EtcdTrio } from '../trios/etcd.mjs'
import { NatsTrio } from '../trios/nats.mjs'
import { TidemarkTrio } from '../trios/tidemark.mjs'
import { OURS } from '../verdict.mjs'

// Three processes on one machine, each with a folder of its own, over loopback: a quorum as programs have it, but
// for the disk and the processors, which the three share.

const ETCD = 'etcd, three members'
const NATS = 'NATS JetStream, R3, not synced'
const FLOOR = 'writeSync + fdatasync'
const FLOOR_FILE_BYTES = 8 * 2 ** 20
const WRITERS = 256
const datasync = promisify(fdatasync)
/** An entry as it lies in the store: the floor writes as many bytes. */
const stored = payloads(168)

const oneByOne = { what: 'one', options: ({ quick }) => ({ count: quick ? 300 : 500 }) }
const manyAtOnce = {
  what: 'many',
  options: ({ quick }) => ({ count: WRITERS * (quick ? 60 : 120), writers: WRITERS }),
}

function ours(role, work) {
  return {
    name: OURS,
    async prepare(folder, context) {
      const trio = await TidemarkTrio.start(folder)
      await trio.open('bench')
      return {
        measure: async () => (await trio.member(role)).ask(work.what, work.options(context)),
        close: () => trio.close(),
      }
    },
  }
}

function peer(name, Trio, role, work) {
  return {
    name,
    async prepare(folder, context) {
      const trio = await Trio.start(folder, role)
      return {
        measure: () => trio.ask(work.what, work.options(context)),
        close: () => trio.close(),
      }
    },
  }
}

const floor = {
  name: FLOOR,
  prepare(folder, context) {
    const fd = preallocate(join(folder, 'floor'), FLOOR_FILE_BYTES)
    let at = 0
    const write = (i) => {
      writeSync(fd, stored[i & 63], 0, 168, at)
      at = (at + 168) % (FLOOR_FILE_BYTES - 168)
      return datasync(fd)
    }
    const { count } = oneByOne.options(context)
    return { measure: () => typicalMicros(count, write), close: () => closeSync(fd) }
  },
}

function oneWriter(role) {
  return {
    title: `quorum append, one writer beside the ${role} (p50)`,
    unit: 'µs',
    slices: 2,
    contestants: [
      ours(role, oneByOne),
      peer(ETCD, EtcdTrio, role, oneByOne),
      peer(NATS, NatsTrio, role, oneByOne),
      floor,
    ],
    bars: [
      { against: ETCD, atMost: 0.5 },
      { against: FLOOR, atMost: 6, without: ETCD },
    ],
  }
}

function manyWriters(role, bars) {
  return {
    title: `quorum append, 256 writers beside the ${role}`,
    unit: '/s',
    contestants: [
      ours(role, manyAtOnce),
      peer(ETCD, EtcdTrio, role, manyAtOnce),
      peer(NATS, NatsTrio, role, manyAtOnce),
    ],
    bars,
  }
}

const BARS = [
  { against: ETCD, atLeast: 8 },
  { against: NATS, atLeast: 1 },
]

export const rows = {
  'quorum-follower-1': oneWriter('follower'),
  'quorum-follower-256': manyWriters('follower', BARS),
  'quorum-leader-1': oneWriter('leader'),
  'quorum-leader-256': manyWriters('leader', BARS),
}
