import { after, before, describe } from 'node:test'
import { commitLogContract } from 'tidemark/testing'
import { Trio } from './trio.ts'

// A log of three members is a commit log. Each test has a log of its own, and who leads it is left to chance: so the
// member that is asked leads some of them and follows in the others.

let trio: Trio
let logs = 0
const names = new WeakMap<object, string>()

before(async () => {
  trio = await Trio.start({ heartbeatMs: 50, electionMs: 250 })
})
after(() => trio.stop())

describe('one of three members', () => {
  const openNamed = async (name: string) => {
    const log = await trio.member(1).log(name, { maxEntryBytes: 2 ** 21 })
    names.set(log, name)
    return log
  }
  commitLogContract({
    name: 'a replicated log',
    maxEntryBytes: 2 ** 21,
    open: () => openNamed(`log-${logs++}`),
    reopen: async (log) => {
      await log.close()
      return openNamed(names.get(log)!)
    },
  })
})
