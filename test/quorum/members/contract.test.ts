import { after, before, describe } from 'node:test'
import { commitLogContract } from 'tidemark/testing'
import { Trio } from './trio.ts'

// A log of three members is a commit log, whichever of them is asked.

let trio: Trio
let logs = 0
const names = new WeakMap<object, string>()

before(async () => {
  trio = await Trio.start()
})
after(() => trio.stop())

for (const id of [1, 2, 3]) {
  describe(`on member ${id} of three`, () => {
    const openNamed = async (name: string) => {
      const log = await trio.member(id).log(name, { maxEntryBytes: 2 ** 21 })
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
}
