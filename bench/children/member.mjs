// A member of a quorum, and writers in its own process.
import { Member } from '../tidemark.mjs'
import { answering } from './answering.mjs'
import { writing } from './writing.mjs'

let member
let log

const functions = {
  async start(options) {
    member = await Member.start(options)
  },
  async open({ name }) {
    log = await member.log(name)
  },
  leader: () => log.leader,
  /** Makes many logs, some at a time. */
  async openMany({ count }) {
    let next = 0
    const loop = async () => {
      while (next < count) await member.log(`log-${next++}`)
    }
    await Promise.all(Array.from({ length: 16 }, loop))
  },
  settled({ count }) {
    const { logs } = member.status()
    return logs.length > count && logs.every((each) => each.leader !== undefined)
  },
  usage: () => ({ ...process.cpuUsage(), bytes: process.memoryUsage().rss }),
  ...writing((data) => log.append(data)),
}

answering(functions, () => member?.close())
