// The commands that look after a log: repair, trim, dump, backup, delete, bench, completion.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { caseCount } from '../cases.ts'
import {
  freshLog,
  jsonLines,
  parseLines,
  type Result,
  stores,
  Tidemark,
  tidemark,
  until,
} from './tidemark.js'

const HEADER_BYTES = 40

async function lines(log: string, count: number): Promise<string[]> {
  const all = Array.from({ length: count }, (_, i) => `line number ${i}.`)
  await tidemark(['append', log, '--segment-bytes', '4096', '--quiet'], `${all.join('\n')}\n`)
  return all
}

/** Spoils the entry with this text, and gives its position. */
function spoil(log: string, text: string): { store: string; position: number } {
  for (const store of stores(log)) {
    const bytes = readFileSync(join(log, store))
    const at = bytes.indexOf(text)
    if (at < 0) continue
    bytes[at]! ^= 0x10
    writeFileSync(join(log, store), bytes)
    return { store, position: at - HEADER_BYTES }
  }
  throw new Error(`no entry ${text}`)
}

async function cat(log: string): Promise<string[]> {
  const { code, stdout, stderr } = await tidemark(['cat', log])
  assert.equal(code, 0, stderr)
  return stdout.toString().split('\n').slice(0, -1)
}

describe('tidemark repair', () => {
  it('says what it would do, does it, and is done', async (t) => {
    const log = freshLog(t)
    const all = await lines(log, 200)
    const { store, position } = spoil(log, 'line number 77.')
    const planned = await tidemark(['repair', log, '--skip', '--dry-run'])
    assert.equal(planned.code, 1)
    assert.match(planned.stdout.toString(), /^would repair: 1 offset lost \(77\), /m)
    assert.equal((await tidemark(['verify', log])).code, 1)
    const done = await tidemark(['repair', log, '--skip'])
    assert.equal(done.code, 0, done.stderr)
    const text = done.stdout.toString()
    assert.ok(text.includes(`damaged: ${store}, position ${position}, offset 77: `), text)
    assert.ok(text.includes(`kept: ${store}.broken\n`), text)
    assert.match(text, /^repaired: 1 offset lost \(77\), marks 0 and 200, 1 file kept$/m)
    const verified = await tidemark(['verify', log])
    assert.match(verified.stdout.toString(), /^note: offset 77 was lost/m)
    assert.deepEqual(await cat(log), all.toSpliced(77, 1))
    const again = await tidemark(['repair', log])
    assert.match(again.stdout.toString(), /^sound: nothing to repair/)
  })

  it('ends the log before the damage unless told otherwise', async (t) => {
    const log = freshLog(t)
    const all = await lines(log, 200)
    spoil(log, 'line number 77.')
    const [report] = await jsonLines(['repair', log])
    assert.deepEqual(report!.lost, [{ offset: 77, endOffset: 200 }])
    assert.equal(report!.highWaterMark, 77)
    await tidemark(['append', log], 'new\n')
    assert.deepEqual(await cat(log), [...all.slice(0, 77), 'new'])
  })

  it('is refused while somebody writes', async (t) => {
    const log = freshLog(t)
    const writer = new Tidemark(['append', log, '--ack'])
    writer.stdin.write('a\n')
    await writer.printed(1)
    for (const command of [
      ['repair', log],
      ['delete', log, '--yes'],
      ['trim', log, '--before=1'],
    ]) {
      const { code, stderr } = await tidemark(command)
      assert.equal(code, 1)
      assert.match(stderr, /^tidemark: LOCKED: [^\n]+\n$/)
    }
    writer.stdin.end()
    assert.equal((await writer.result()).code, 0)
  })
})

describe('tidemark trim', () => {
  it('raises the low-water mark and gives space back', async (t) => {
    const log = freshLog(t)
    const all = await lines(log, 200)
    const [report] = await jsonLines(['trim', log, '--before', '150'])
    assert.deepEqual([report!.lowWaterMark, report!.highWaterMark], [150, 200])
    assert.ok((report!.freedBytes as number) > 4096)
    assert.deepEqual(await cat(log), all.slice(150))
    assert.equal((await tidemark(['trim', log, '--before', '999'])).code, 1)
    assert.equal((await tidemark(['trim', log])).code, 2)
    const nowhere = join(dirname(log), 'nowhere')
    assert.match((await tidemark(['trim', nowhere, '--before', '1'])).stderr, /NOT_FOUND/)
    assert.equal(existsSync(nowhere), false)
  })
})

describe('tidemark dump', () => {
  it('shows every header, good and bad', async (t) => {
    const log = freshLog(t)
    await lines(log, 200)
    const sound = await jsonLines(['dump', log])
    const entries = sound.filter(({ kind }) => kind === 'entry')
    assert.deepEqual(
      entries.map(({ offset }) => offset),
      Array.from({ length: 200 }, (_, i) => i),
    )
    assert.equal(sound.filter(({ kind }) => kind === 'segment').length, stores(log).length)
    const { store, position } = spoil(log, 'line number 77.')
    const path = join(log, store)
    const bytes = readFileSync(path)
    bytes[0]! ^= 1
    bytes[position + 2 * (HEADER_BYTES + 15) + 8]! ^= 1
    writeFileSync(path, bytes)
    const { code, stdout } = await tidemark(['dump', log, '--json'])
    assert.equal(code, 1)
    const records = parseLines(stdout)
    const bad = records.filter((one) => one.isSound === false || one.problem !== undefined)
    assert.deepEqual(
      bad.map(({ kind, file, position, offset }) => ({ kind, file, position, offset })),
      [
        { kind: 'segment', file: store, position: undefined, offset: undefined },
        { kind: 'entry', file: store, position, offset: 77 },
        { kind: 'bad', file: store, position: position + 2 * (HEADER_BYTES + 15), offset: 79 },
      ],
    )
    assert.equal(records.filter(({ kind }) => kind === 'entry').length, 199)
    const text = (await tidemark(['dump', log])).stdout.toString()
    assert.match(text, /header BAD: /)
    assert.match(text, /offset 77, .* BAD$/m)
    assert.match(text, /BAD, offset 79: /)
  })
})

/** Keeps a writer busy until the test ends. */
async function busyWriter(t: TestContext, log: string): Promise<Tidemark> {
  const writer = new Tidemark(['append', log, '--ack', '--quiet', '--segment-bytes', '262144'])
  const feeding = setInterval(() => writer.stdin.write(`${'x'.repeat(90)}\n`.repeat(100)), 3)
  t.after(() => clearInterval(feeding))
  await writer.printed(1000)
  return writer
}

describe('tidemark backup', () => {
  it('has what was acknowledged, while the writer goes on', async (t) => {
    const log = freshLog(t)
    const writer = await busyWriter(t, log)
    for (let round = 0; round < 3; round++) {
      const acknowledged = writer.lines().length
      const [report] = await jsonLines(['backup', log, `${log}.${round}`])
      assert.ok((report!.highWaterMark as number) >= acknowledged)
      const [verified] = await jsonLines(['verify', `${log}.${round}`])
      assert.equal(verified!.entries, report!.highWaterMark)
    }
    const taken = await tidemark(['backup', log, `${log}.0`])
    assert.equal(taken.code, 1)
    assert.match(taken.stderr, /^tidemark: INVALID_ARGUMENT: .*exists already/)
    writer.kill('SIGTERM')
    await writer.result()
  })

  it('that is killed leaves no backup, and the log as it was', async (t) => {
    const log = freshLog(t)
    const writer = await busyWriter(t, log)
    let unfinished = 0
    const rounds = caseCount(12, 8)
    for (let round = 0; round < rounds; round++) {
      const to = `${log}.${round}`
      const backup = new Tidemark(['backup', log, to])
      if (round % 2 === 0) {
        const name = new RegExp(`^${basename(to)}\\.[0-9a-f]{8}\\.tmp$`)
        const isBegun = () => readdirSync(dirname(log)).some((one) => name.test(one))
        while (!isBegun() && !backup.isOver) await delay(0)
      } else {
        await delay(200 + 20 * round)
      }
      backup.kill('SIGKILL')
      await backup.result()
      if (!existsSync(to)) {
        unfinished++
        continue
      }
      const { code, stdout } = await tidemark(['verify', to])
      assert.equal(code, 0, stdout.toString())
    }
    t.diagnostic(`${unfinished} of ${rounds} backups were not finished`)
    assert.ok(unfinished > 0)
    const again = await tidemark(['backup', log, `${log}.last`])
    assert.equal(again.code, 0, again.stderr)
    writer.kill('SIGTERM')
    await writer.result()
    assert.equal((await tidemark(['verify', log])).code, 0)
  })
})

describe('tidemark delete', () => {
  it('asks for --yes, and leaves what is not its own', async (t) => {
    const log = freshLog(t)
    await lines(log, 10)
    writeFileSync(join(log, 'notes.txt'), 'mine')
    const asked = await tidemark(['delete', log])
    assert.equal(asked.code, 2)
    assert.match(asked.stderr, /^tidemark: USAGE: .*--yes/)
    assert.equal((await cat(log)).length, 10)
    const done = await tidemark(['delete', log, '--yes'])
    assert.equal(done.code, 0, done.stderr)
    assert.match(done.stdout.toString(), /left, as not the log's: notes\.txt$/m)
    assert.deepEqual(readdirSync(log), ['notes.txt'])
    assert.match((await tidemark(['cat', log])).stderr, /NOT_FOUND/)
  })
})

describe('tidemark bench', () => {
  it('measures, and leaves nothing behind', async (t) => {
    const folder = dirname(freshLog(t))
    const [report] = await jsonLines(['bench', folder, '--seconds', '1'])
    const rows = report!.rows as { name: string; perSecond: number }[]
    assert.equal(rows.length, 7)
    for (const { name, perSecond } of rows) assert.ok(perSecond > 0, name)
    assert.deepEqual(readdirSync(folder), [])
  })

  it('leaves nothing behind when it is interrupted', async (t) => {
    const folder = join(dirname(freshLog(t)), 'new')
    mkdirSync(folder)
    const bench = new Tidemark(['bench', folder, '--seconds', '20'])
    await until(() => bench.isOver || readdirSync(folder).length > 0)
    await delay(300)
    bench.kill('SIGINT')
    const { code } = await bench.result()
    assert.equal(code, 130)
    assert.deepEqual(readdirSync(folder), [])
  })
})

describe('tidemark completion', () => {
  let script: Promise<Result> | undefined

  /** What bash offers behind these words. */
  const offered = async (...words: string[]) => {
    script ??= tidemark(['completion', 'bash'])
    const { stdout } = await script
    const quoted = words.map((word) => `'${word}'`).join(' ')
    const asked = `${stdout}
COMP_WORDS=(tidemark ${quoted}); COMP_CWORD=${words.length}
_tidemark
printf '%s\\n' "\${COMPREPLY[@]}"`
    const bash = spawnSync('bash', ['--norc', '-c', asked], { encoding: 'utf8' })
    assert.equal(bash.stderr, '')
    return bash.stdout.split('\n').filter((word) => word !== '')
  }

  it('can be sourced by bash, and knows every command and option', async () => {
    assert.deepEqual(await offered('ver'), ['verify'])
    assert.deepEqual(await offered('repair', '--s'), ['--skip'])
    assert.deepEqual(await offered('completion', 'z'), ['zsh'])
    assert.deepEqual(await offered('help', 'back'), ['backup'])
    const names = await offered('')
    for (const name of ['append', 'cat', 'dump', 'bench', 'completion']) {
      assert.ok(names.includes(name), name)
      const help = (await tidemark([name, '--help'])).stdout.toString()
      const flags = help.match(/--[a-z-]+(?= |$)/gm) ?? []
      const known = await offered(name, '-')
      for (const flag of flags.filter((one) => help.includes(`  ${one} `))) {
        assert.ok(known.includes(flag), `${name} ${flag}`)
      }
    }
  })

  it('has a script for each shell, and refuses others', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, stdout } = await tidemark(['completion', shell])
      assert.equal(code, 0)
      assert.match(stdout.toString(), /repair/)
      const check = spawnSync(shell, shell === 'fish' ? ['--no-execute'] : ['-n'], {
        input: stdout,
      })
      if (check.error === undefined) assert.equal(check.status, 0, `${check.stderr}`)
    }
    const { code, stderr } = await tidemark(['completion', 'sh'])
    assert.equal(code, 2)
    assert.match(stderr, /must be bash, zsh, fish, not "sh"/)
  })
})
