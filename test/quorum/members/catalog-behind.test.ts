import assert from 'node:assert/strict'
import { cpSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Trio, until } from './trio.ts'

/** The stores of all logs but the catalog: a folder that was deleted and made again has others. */
function storesOf(dir: string): string[] {
  const logs = join(dir, 'logs')
  const folders = readdirSync(logs).filter((name) => name !== '0')
  return folders
    .flatMap((id) => readdirSync(join(logs, id)).map((name) => join(logs, id, name)))
    .filter((path) => path.endsWith('.store'))
    .map((path) => `${path} ${statSync(path).birthtimeMs} ${statSync(path).ino}`)
    .sort()
}

describe('a member whose catalog is behind its folders', () => {
  it('deletes nothing that it does not know of', async (t) => {
    const trio = await Trio.start()
    t.after(() => trio.stop())
    const dir = join(trio.dir, '2')
    const catalog = join(dir, 'logs', '0')
    const old = join(trio.dir, 'old')
    await (await trio.member(2).log('orders')).append('one')
    await trio.stopMember(2)
    cpSync(catalog, old, { recursive: true })
    await trio.startMember(2)
    for (const name of ['bills', 'letters']) await (await trio.member(2).log(name)).append(name)
    await trio.stopMember(2)
    const before = storesOf(dir)
    assert.equal(before.length, 3)
    await Promise.all([trio.stopMember(1), trio.stopMember(3)])
    // As if its catalog had not got there yet; and it starts alone.
    rmSync(catalog, { recursive: true })
    cpSync(old, catalog, { recursive: true })
    const member = await trio.startMember(2)
    assert.deepEqual(storesOf(dir), before)
    await Promise.all([trio.startMember(1), trio.startMember(3)])
    const names = () => member.status().logs.map(({ name }) => name)
    await until(() => names().includes('letters'), 'it is told what it has')
    assert.deepEqual(storesOf(dir), before)
    const texts: string[] = []
    const letters = await member.log('letters')
    await letters.barrier()
    for await (const { data } of letters.read()) texts.push(data.toString())
    assert.deepEqual(texts, ['letters'])
  })
})
