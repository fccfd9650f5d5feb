import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { casesOf } from '../cases.ts'
import { tidemark } from './tidemark.js'

const COMMANDS = [
  'append',
  'cat',
  'info',
  'verify',
  'repair',
  'trim',
  'dump',
  'backup',
  'mirror',
  'delete',
  'kv',
  'cluster',
  'bench',
  'demo',
  'completion',
]

async function refused(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await tidemark(args)
  assert.equal(code, 2, `${args.join(' ')}: ${stderr}`)
  assert.equal(stdout.length, 0)
  assert.match(stderr, /^tidemark: USAGE: [^\n]+\n$/)
  return stderr
}

describe('tidemark', () => {
  it('explains itself', async () => {
    const general = await tidemark(['--help'])
    assert.equal(general.code, 0)
    const asked = casesOf(COMMANDS, 4)
    for (const name of COMMANDS) {
      assert.match(general.stdout.toString(), new RegExp(`^ {2}tidemark ${name} `, 'm'))
      const one = await tidemark([name, '--help'])
      assert.equal(one.code, 0)
      assert.match(one.stdout.toString(), /^Examples\n {2}tidemark /m)
      if (!asked.includes(name)) continue
      for (const words of [
        ['help', name],
        [name, '-h', 'what', 'ever'],
      ]) {
        const other = await tidemark(words)
        assert.deepEqual([other.code, other.stdout], [0, one.stdout])
      }
    }
    for (const line of general.stdout.toString().split('\n')) assert.ok(line.length <= 100, line)
    assert.deepEqual((await tidemark(['help'])).stdout, general.stdout)
  })

  it('knows its version', async () => {
    const path = new URL(import.meta.resolve('tidemark/package.json'))
    const { version } = JSON.parse(readFileSync(path, 'utf8'))
    for (const word of ['--version', '-v']) {
      assert.equal((await tidemark([word])).stdout.toString(), `tidemark ${version}\n`)
    }
  })

  it('refuses unknown commands and options, and names the nearest', async () => {
    assert.match(await refused(), /give a command: append, cat, info, verify, repair/)
    assert.match(await refused('verfiy', 'x'), /no command "verfiy"; did you mean verify\?/)
    assert.match(await refused('app', 'x'), /did you mean append\?/)
    assert.match(await refused('xyzzy'), /there is append, cat, info/)
    assert.match(await refused('help', 'ct'), /did you mean cat\?/)
    assert.match(await refused('--versoin'), /no option --versoin .*did you mean --version\?/)
    assert.match(
      await refused('cat', 'x', '--form', '3'),
      /no option --form; did you mean --from\?/,
    )
    assert.match(await refused('cat', 'x', '-z'), /cat has no option -z; there is --from/)
    assert.match(await refused('append', 'x', '--constructor'), /no option --constructor/)
  })

  it('refuses values that make no sense, and names them', async () => {
    for (const value of ['-5', '1e3', '', '9007199254740991']) {
      const why = await refused('cat', 'x', `--from=${value}`)
      assert.match(
        why,
        value === '' ? /--from needs a value/ : /--from must be a whole number from 0/,
      )
      assert.ok(why.includes(value))
    }
    assert.match(await refused('cat', 'x', '--to', '-1'), /--to must be .*, not "-1"/)
    assert.match(await refused('cat', 'x', '--to'), /--to needs a value: --to <n>/)
    assert.match(
      await refused('cat', 'x', '--from', '5', '--to', '3'),
      /--to 3 lies before --from 5/,
    )
    assert.match(await refused('cat', 'x', '--json=yes'), /--json takes no value.*"yes"/)
    assert.match(await refused('append', 'x', '--batch', '0'), /--batch must be .* from 1 to/)
    for (const value of ['0', 'sometimes', '3600001']) {
      assert.ok((await refused('append', 'x', '--sync', value)).includes(`not "${value}"`))
    }
    assert.match(await refused('demo', '--rounds', 'many'), /--rounds must be .*, not "many"/)
  })

  it('refuses times that are none', async () => {
    const why = await refused('cat', 'x', '--since=2026-02-30')
    assert.ok(why.includes('--since must be a time') && why.includes('not "2026-02-30"'), why)
  })

  it('refuses contradictions, and words too few or too many', async () => {
    assert.match(await refused('cat', 'x', '--from', '1', '--since', '1h'), /exclude each other/)
    assert.match(await refused('cat', 'x', '--reverse', '--follow'), /exclude each other/)
    assert.match(await refused('append', 'x', '--whole', '--batch', '3'), /exclude each other/)
    assert.match(await refused('cat'), /cat needs <log>/)
    assert.match(await refused('verify', ''), /<log> is empty/)
    assert.match(await refused('info', 'a', 'b'), /info does not know what to do with "b"/)
  })
})
