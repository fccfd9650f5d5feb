// The README's tables of options and commands are those of the code.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { Log, TidemarkError } from 'tidemark'
import { KafkaLog } from 'tidemark/kafka'
import { bytes } from '#dist/log/codec.js'
import { logSettings } from '#dist/log/options.js'
import { pageAt, ROOT, tableBehind } from './pages.ts'

const readme = pageAt('README.md')

/** The words in code of a cell. */
function wordsOf(cell: string): string[] {
  return [...cell.matchAll(/`([^`]*)`/g)].map(([, word]) => word!)
}

/** A default as the table writes it. */
function asValue(cell: string): unknown {
  const [, number, unit] = /^(\d+) (KiB|MiB)$/.exec(cell) ?? []
  if (number !== undefined) return Number(number) * (unit === 'KiB' ? 2 ** 10 : 2 ** 20)
  if (cell === 'no limit') return Number.POSITIVE_INFINITY
  if (cell === 'its own' || cell === 'none') return undefined
  const [word = cell] = wordsOf(cell)
  return word.startsWith("'") ? word.slice(1, -1) : (JSON.parse(word) as unknown)
}

describe('the options in the README', () => {
  const rows = tableBehind(readme, '### Opening')

  it('are those that there are', async () => {
    const unknown = { 'no such option': 1 } as object
    const error: unknown = await Log.open('unused', unknown).catch((thrown) => thrown)
    assert.ok(error instanceof TidemarkError)
    const known = error.message.split('; there is ')[1]!.split(', ')
    const named = rows.flatMap(([cell]) => wordsOf(cell!))
    assert.deepEqual(named.sort(), known.sort())
  })

  it('have the defaults that they have', async () => {
    const settings: Record<string, unknown> = { ...logSettings({}) }
    let compared = 0
    for (const [cell = '', value = ''] of rows) {
      const [name = ''] = wordsOf(cell)
      if (value === 'the real ones' || name === 'codec') continue
      assert.deepEqual(asValue(value), settings[name], name)
      compared++
    }
    assert.ok(compared >= 12)
    assert.equal(rows.find(([cell]) => cell === '`codec`')?.[1], '`bytes`')
    assert.equal(typeof bytes.encode, 'function')
  })
})

describe('the options in docs/kafka.md', () => {
  it('are those that there are', async () => {
    const unknown = { 'no such option': 1, brokers: 'a:1', topic: 'a' }
    const error: unknown = await KafkaLog.open(unknown).catch((thrown) => thrown)
    assert.ok(error instanceof TidemarkError)
    const known = error.message.split('; there is ')[1]!.split(', ')
    const named = tableBehind(pageAt('docs/kafka.md'), '## Options').flatMap(([cell]) =>
      wordsOf(cell!),
    )
    assert.deepEqual(named.sort(), known.sort())
  })
})

describe('the commands in the README', () => {
  it('are those that there are, and their options too', async () => {
    const main = join(ROOT, 'dist', 'cli', 'main.js')
    const help = async (...words: string[]) => {
      return (await promisify(execFile)(process.execPath, [main, 'help', ...words])).stdout
    }
    const rows = tableBehind(readme, '## The command line')
    const usages = [...(await help()).matchAll(/^ {2}tidemark ([a-z]+(?: [<[]\w+[>\]])*) {2}/gm)]
    assert.deepEqual(
      rows.map(([command]) => wordsOf(command!)[0]!),
      usages.map(([, usage]) => usage!).filter((usage) => !usage.startsWith('help')),
    )
    for (const [command = '', , options = ''] of rows) {
      const text = await help(wordsOf(command)[0]!.split(' ')[0]!)
      for (const word of wordsOf(options)) {
        assert.ok(text.includes(word.split(' ')[0]!), `${command}: ${word}`)
      }
    }
  })
})
