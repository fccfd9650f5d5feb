import assert from 'node:assert/strict'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { LogEvent } from 'tidemark/quorum'
import { Trio, until } from './trio.ts'

// A replica that is beyond repair is begun anew when the others agree: nothing is lost, and it counts again.

const HARMS: Readonly<Record<string, (folder: string) => void>> = {
  'is gone': (folder) => rmSync(folder, { recursive: true }),
  'is empty': (folder) => {
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true })
  },
  'has no word of what it is': (folder) => writeFileSync(join(folder, 'meta'), 'nothing'),
  'has files of nothing': (folder) => {
    for (const name of readdirSync(folder)) writeFileSync(join(folder, name), Buffer.alloc(5000))
  },
}

describe('a replica that cannot be opened', { concurrency: 2 }, () => {
  for (const [harm, act] of Object.entries(HARMS)) {
    for (const log of ['orders', '$catalog']) {
      it(`begins anew: ${log} ${harm}`, async (t) => {
        const trio = await Trio.start()
        t.after(() => trio.stop())
        const orders = await trio.member(1).log('orders')
        for (let i = 0; i < 50; i++) await orders.append(`${i}`)
        await trio.stopMember(2)
        const { id } = orders.status()
        act(join(trio.dir, '2', 'logs', log === 'orders' ? String(id) : '0'))
        const started = trio.startMember(2)
        const lost: LogEvent[] = []
        const back = await started
        back.on('lost', (event) => lost.push(event))
        const theirs = await back.log('orders')
        await theirs.barrier()
        const texts: string[] = []
        for await (const { data } of theirs.read()) texts.push(data.toString())
        assert.equal(texts.length, 50)
        // As it knows itself, which knew nothing. Until a change is over, all who voted before are needed.
        const votes = () => {
          return back.status().logs.every(({ members: { voters, outgoing } }) => {
            return voters.join() === '1,2,3' && outgoing.length === 0
          })
        }
        await until(votes, 'it votes again')
        // One of the others is not needed any more.
        await trio.stopMember(3)
        await (await trio.member(1).log('orders')).append('after')
        await theirs.barrier()
        await (await trio.member(2).log('more')).append('x')
      })
    }
  }

  it('stays as it is where nobody else has it', async (t) => {
    const trio = await Trio.start({}, 1)
    t.after(() => trio.stop())
    const orders = await trio.member(1).log('orders')
    await orders.append('kept')
    const { id } = orders.status()
    await trio.stopMember(1)
    rmSync(join(trio.dir, '1', 'logs', String(id), 'meta'))
    const back = await trio.startMember(1)
    await assert.rejects(back.log('orders'), { code: 'CORRUPT' })
    assert.equal(back.status().logs.find((log) => log.name === 'orders')?.failure, 'CORRUPT')
  })
})
