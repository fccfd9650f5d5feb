import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { FailedEvent } from 'tidemark/quorum'
import { type File, type Files, nodeFiles } from '#dist/io/index.js'
import { errnoError } from '#dist/simulation/index.js'
import { Trio, until } from './trio.ts'

// The disk of one member fails for a while: the others go on, and it comes back by itself.

/** Real files of which those below a path fail as long as they are told to. */
class FailingFiles {
  where: string | undefined
  code: 'EIO' | 'ENOSPC' = 'EIO'
  struck = 0

  readonly files: Files = {
    ...nodeFiles,
    openSync: (path, mode) => this.#wrap(nodeFiles.openSync(path, mode), path),
  }

  #check(path: string, what: string): void {
    if (this.where === undefined || !path.includes(this.where)) return
    this.struck++
    throw errnoError(this.code, what, path)
  }

  #wrap(file: File, path: string): File {
    const syncs = () => this.code === 'EIO' && this.#check(path, 'datasync')
    const writes = () => this.code === 'ENOSPC' && this.#check(path, 'write')
    return {
      readSync: (buffer, position) => file.readSync(buffer, position),
      read: (buffer, position) => file.read(buffer, position),
      writeSync: (buffer, position) => {
        writes()
        file.writeSync(buffer, position)
      },
      write: async (buffer, position) => {
        writes()
        await file.write(buffer, position)
      },
      truncateSync: (size) => file.truncateSync(size),
      datasyncSync: () => {
        syncs()
        file.datasyncSync()
      },
      datasync: async () => {
        syncs()
        await file.datasync()
      },
      sizeSync: () => file.sizeSync(),
      closeSync: () => file.closeSync(),
    }
  }
}

describe('a member whose disk fails for a while', { concurrency: 2 }, () => {
  for (const code of ['EIO', 'ENOSPC'] as const) {
    for (const where of ['logs', 'votes']) {
      it(`is back when ${code} on its ${where} is over, and nothing is lost`, async (t) => {
        const trio = await Trio.start()
        t.after(() => trio.stop())
        await trio.member(1).log('orders')
        await trio.stopMember(2)
        // Acknowledged without it, so another leads by the time that it is back.
        await (await trio.member(1).log('orders')).append('before')
        const failing = new FailingFiles()
        const member = await trio.startMember(2, { files: failing.files })
        const failures: FailedEvent[] = []
        member.on('failed', (event) => failures.push(event))
        const theirs = await member.log('orders')
        await theirs.barrier()
        const followed: string[] = []
        const following = (async () => {
          for await (const { data } of theirs.read({ follow: true })) followed.push(data.toString())
        })()
        const leader = theirs.leader!
        assert.notEqual(leader, 2, 'it came back as a follower')
        failing.code = code
        failing.where = `/${where}/`
        // An append strikes the logs, and a term that it has to write down the votes.
        await trio.stopMember(leader)
        await trio.startMember(leader)
        const log = await trio.member(4 - leader).log('orders')
        for (let i = 0; i < 10; i++) await log.append(`during ${i}`)
        await until(() => failures.length > 0, 'it is told')
        assert.ok(failing.struck > 0)
        // The member goes on for those who append: the others keep the log.
        assert.notEqual(theirs.status().failure, undefined)
        await theirs.append('beside')
        failing.where = undefined
        await until(() => theirs.status().failure === undefined, 'it runs again')
        await theirs.append('after')
        await theirs.barrier()
        const texts: string[] = []
        for await (const { data } of theirs.read()) texts.push(data.toString())
        const during = Array.from({ length: 10 }, (_, i) => `during ${i}`)
        assert.deepEqual(texts, ['before', ...during, 'beside', 'after'])
        await until(() => followed.length === texts.length, 'whoever followed goes on')
        assert.deepEqual(followed, texts)
        await trio.stopMember(2)
        await following
      })
    }
  }
})
