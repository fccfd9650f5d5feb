import assert from 'node:assert/strict'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Trio } from './trio.ts'

describe('a member whose catalog is damaged', () => {
  it('gets it back from others while it starts, and deletes nothing', async (t) => {
    const trio = await Trio.start()
    t.after(() => trio.stop())
    for (const name of ['orders', 'bills', 'letters']) await trio.member(2).log(name)
    const orders = await trio.member(2).log('orders')
    await orders.append('one')
    // As if it had been killed: its folder as it was while it ran.
    const dir = join(trio.dir, '2')
    const saved = join(trio.dir, 'saved')
    cpSync(dir, saved, { recursive: true })
    await trio.stopMember(2)
    rmSync(dir, { recursive: true })
    cpSync(saved, dir, { recursive: true })
    const catalog = join(dir, 'logs', '0')
    const store = join(catalog, readdirSync(catalog).find((name) => name.endsWith('.store'))!)
    const bytes = readFileSync(store)
    const at = bytes.indexOf('bills')
    assert.ok(at > 0)
    bytes[at]! ^= 1
    writeFileSync(store, bytes)
    const member = await trio.startMember(2)
    const names = member.status().logs.map(({ name, holes }) => `${name} ${holes.length}`)
    assert.deepEqual(names.sort(), ['$catalog 0', 'bills 0', 'letters 0', 'orders 0'])
    assert.ok(readFileSync(store).indexOf('bills') === at)
    const log = await member.log('orders')
    await log.barrier()
    const texts: string[] = []
    for await (const { data } of log.read()) texts.push(data.toString())
    assert.deepEqual(texts, ['one'])
  })
})
