import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Log, text } from 'tidemark'
import { DurableMap } from 'tidemark/machine'
import { caseCount, isEveryCase } from '../cases.ts'
import { freshLog, jsonLines, parseLines, Tidemark, tidemark } from './tidemark.js'

/** What a key must survive, in the order of its units of UTF-16. */
const AWKWARD = [
  '',
  '\tTAB',
  '\nline\n',
  '\rcr',
  ' ',
  '\\',
  '\\t',
  '\\\\n',
  'a\0b',
  'é',
  '\u{1f30a}',
]

/** Runs an action that must succeed, and gives what it prints. */
async function kv(folder: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await tidemark(['kv', folder, ...words])
  assert.equal(code, 0, `${words.join(' ')}: ${stderr}`)
  assert.equal(stderr, '')
  return stdout.toString()
}

/** Runs an action that must fail, and gives what it says. */
async function failing(exit: number, folder: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await tidemark(['kv', folder, ...words])
  assert.deepEqual([code, stdout.toString()], [exit, ''], stderr)
  return stderr
}

function setFrom(folder: string, input: string | Uint8Array, ...options: string[]) {
  return tidemark(['kv', folder, 'set', ...options], input)
}

/** Uses the map of a folder as a program does. */
async function withMap(folder: string, use: (map: DurableMap<string, string>) => Promise<void>) {
  const log = await Log.open(folder)
  const map = await DurableMap.open<string, string>(log, { keys: text, values: text })
  await use(map)
  await map.close()
  await log.close()
}

describe('tidemark kv', () => {
  it('sets, gets and deletes', async (t) => {
    const folder = freshLog(t)
    assert.equal(await kv(folder, 'set', 'color', 'dark blue'), '')
    assert.equal(await kv(folder, 'set', 'empty', '', '--ack'), 'empty\n')
    assert.equal(await kv(folder, 'set', '--', '-k', '--json'), '')
    assert.equal(await kv(folder, 'get', 'color'), 'dark blue\n')
    assert.equal(await kv(folder, 'get', 'empty'), '\n')
    assert.equal(await kv(folder, 'get', '--', '-k'), '--json\n')
    assert.equal(await failing(1, folder, 'get', 'colour'), '')
    assert.deepEqual(await jsonLines(['kv', folder, 'get', 'color']), [
      { key: 'color', value: 'dark blue' },
    ])
    const none = await tidemark(['kv', folder, 'get', 'none', '--json'])
    assert.deepEqual([none.code, parseLines(none.stdout)], [1, [{ key: 'none', value: null }]])
    assert.equal(await kv(folder, 'delete', 'color'), 'deleted\n')
    assert.equal(await kv(folder, 'delete', 'color'), 'was not there\n')
    assert.equal(await kv(folder, 'delete', 'color', '--quiet'), '')
    assert.deepEqual(await jsonLines(['kv', folder, 'delete', 'empty']), [
      { key: 'empty', deleted: true },
    ])
    assert.equal(await kv(folder, 'list'), '-k\t--json\n')
  })

  it('compares and sets', async (t) => {
    const folder = freshLog(t)
    assert.equal(await kv(folder, 'cas', 'color', 'red', '--absent'), '')
    assert.equal(
      await failing(1, folder, 'cas', 'color', 'green', '--absent'),
      'not set: the key holds "red"\n',
    )
    assert.equal(await kv(folder, 'cas', 'color', 'red', 'green'), '')
    assert.match(await failing(1, folder, 'cas', 'color', 'red', 'blue'), /holds "green"\n$/)
    assert.equal(await failing(1, folder, 'cas', 'color', 'red', 'blue', '-q'), '')
    assert.match(await failing(1, folder, 'cas', 'shape', '', 'round'), /the key is not there\n$/)
    const json = await tidemark(['kv', folder, 'cas', 'shape', 'x', 'round', '--json'])
    assert.deepEqual([json.code, json.stderr], [1, ''])
    assert.deepEqual(parseLines(json.stdout), [{ key: 'shape', done: false, value: null }])
    assert.deepEqual(await jsonLines(['kv', folder, 'cas', 'color', 'green', 'blue']), [
      { key: 'color', done: true, value: 'blue' },
    ])
  })

  it('forgets a key whose time is over, with the first change after that', async (t) => {
    const folder = freshLog(t)
    await kv(folder, 'cas', 'other', 'life', '--absent', '--ttl', '100000')
    await kv(folder, 'set', 'short', 'life', '--ttl', '300')
    // Nothing later is in the log, however long this takes.
    assert.equal(await kv(folder, 'get', 'short'), 'life\n')
    await delay(400)
    await kv(folder, 'set', 'next', 'change')
    assert.equal(await failing(1, folder, 'get', 'short'), '')
    assert.equal(await kv(folder, 'list'), 'next\tchange\nother\tlife\n')
  })

  it('lists ranges in the order of the keys', async (t) => {
    const folder = freshLog(t)
    const keys = ['user.b', 'a', 'user.a', 'z', 'user.c', 'usex']
    await setFrom(folder, keys.map((key) => `${key}\tof ${key}\n`).join(''))
    // Without the package that orders them, they are sorted when they are listed.
    const hook = `export async function resolve(name, context, next) {
      if (name === 'sorted-btree') throw new Error('it is not installed')
      return next(name, context)
    }`
    const url = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`
    const loader = `import { register } from 'node:module'; register(${JSON.stringify(url(hook))})`
    for (const nodeOptions of ['', `--disable-warning=DEP0205 --import ${url(loader)}`]) {
      const env = { ...process.env, NODE_OPTIONS: nodeOptions }
      const listed = async (...options: string[]) => {
        const run = await new Tidemark(['kv', folder, 'list', ...options], { env }).result()
        assert.deepEqual([run.code, run.stderr], [0, ''])
        const lines = run.stdout.toString().split('\n').slice(0, -1)
        return lines.map((line) => line.replace(/\tof .*/, ''))
      }
      assert.deepEqual(await listed(), keys.toSorted())
      assert.deepEqual(await listed('--reverse'), keys.toSorted().reverse())
      assert.deepEqual(await listed('--prefix', 'user.'), ['user.a', 'user.b', 'user.c'])
      assert.deepEqual(await listed('--prefix', 'user.', '--from', 'user.b'), ['user.b', 'user.c'])
      // The rest without that package is for `npm run cases`.
      if (nodeOptions !== '' && !isEveryCase) continue
      assert.deepEqual(await listed('--from', 'b', '--to', 'user.b'), ['user.a'])
      assert.deepEqual(await listed('--limit', '2', '--reverse'), ['z', 'usex'])
      assert.deepEqual(await listed('--to', 'usex', '--limit', '1', '--reverse'), ['user.c'])
      assert.deepEqual(await listed('--limit', '0'), [])
      assert.deepEqual(await listed('--limit', '1', '--json'), ['{"key":"a","value":"of a"}'])
    }
  })

  it('prints lines that set reads again, whatever is in them', async (t) => {
    const [folder, copy] = [freshLog(t), freshLog(t)]
    await withMap(folder, async (map) => {
      for (const key of AWKWARD) await map.set(key, `${key}\t${key}\n\\`)
    })
    const listed = await tidemark(['kv', folder, 'list'])
    const lines = listed.stdout.toString().split('\n').slice(0, -1)
    assert.equal(lines.length, AWKWARD.length)
    for (const line of lines) assert.match(line, /^[^\t\r]*\t[^\t\r]*$/)
    const { code, stdout } = await setFrom(copy, listed.stdout, '--ack', '--quiet')
    assert.equal(code, 0)
    assert.equal(stdout.toString(), lines.map((line) => `${line.split('\t')[0]}\n`).join(''))
    assert.deepEqual((await tidemark(['kv', copy, 'list'])).stdout, listed.stdout)
    assert.deepEqual(
      await jsonLines(['kv', copy, 'list']),
      AWKWARD.toSorted().map((key) => ({ key, value: `${key}\t${key}\n\\` })),
    )
    await withMap(copy, async (map) => {
      for (const key of AWKWARD) assert.equal(map.get(key), `${key}\t${key}\n\\`)
    })
    assert.equal(await kv(copy, 'get', '\\t'), '\\t\t\\t\n\\\n')
  })
})

describe('tidemark kv set, of many lines', () => {
  it('acknowledges each key once, in the order of the input', async (t) => {
    const folder = freshLog(t)
    const keys = Array.from({ length: 30_000 }, (_, i) => `key ${(i * 7) % 20_000}`)
    const input = keys.map((key, i) => `${key}\t${i}`).join('\n')
    const { code, stdout, stderr } = await setFrom(folder, input, '--ack', '--sync', '20')
    assert.equal(code, 0, stderr)
    assert.equal(stdout.toString(), `${keys.join('\n')}\n`)
    assert.match(stderr, /^set 30,000 lines, .* in .*\/s\), up to offset 30000\n$/)
    assert.equal(await kv(folder, 'get', 'key 7'), `${keys.lastIndexOf('key 7')}\n`)
    const nothing = await setFrom(folder, '', '--sync', 'never')
    assert.deepEqual([nothing.code, nothing.stderr], [0, 'set nothing\n'])
  })

  it('sets a line of a slow producer at once', async (t) => {
    const writer = new Tidemark(['kv', freshLog(t), 'set', '--ack', '--quiet'])
    for (let i = 0; i < 4; i++) {
      writer.stdin.write(`${i}\t${i}\n1`)
      await writer.printed(i + 1)
    }
    assert.deepEqual(writer.lines(), ['0', '11', '12', '13'])
    writer.stdin.end()
    assert.match((await writer.result()).stderr, /^tidemark: USAGE: line 5 of the input has no TAB/)
  })

  it('ends at a line that it cannot read, with all before it', async (t) => {
    for (const [line, problem] of [
      [
        'no tab',
        /^tidemark: USAGE: line 3 of the input has no TAB between a key and a value; .*\n$/,
      ],
      ['', /line 3 .* has no TAB/],
      ['a\\x\tb', /^tidemark: USAGE: line 3 of the input has \\x, which is none of \\\\, \\t, \\n/],
      ['a\tb\\', /line 3 of the input has \\, which/],
      [Buffer.from([0xff, 9, 0x61]), /^tidemark: USAGE: line 3 of the input is not UTF-8; /],
    ] as const) {
      const folder = freshLog(t)
      const input = Buffer.concat(
        ['1\ta\n2\tb\n', line, '\n4\td\n'].map((part) => Buffer.from(part as string)),
      )
      const { code, stdout, stderr } = await setFrom(folder, input, '--ack', '--quiet')
      assert.equal(code, 2)
      assert.equal(stdout.toString(), '1\n2\n')
      assert.match(stderr, problem)
      assert.equal(await kv(folder, 'list'), '1\ta\n2\tb\n')
    }
  })

  it('ends at a key that is too large, and nothing follows it', async (t) => {
    const folder = freshLog(t)
    const input = `1\ta\n${'k'.repeat(65_535)}\tb\n${'k'.repeat(65_536)}\tc\n4\td\n`
    const { code, stdout, stderr } = await setFrom(folder, input, '--ack', '--quiet')
    assert.equal(code, 1)
    assert.equal(stdout.length, 2 + 65_536)
    assert.match(
      stderr,
      /^tidemark: TOO_LARGE: a key has 65536 bytes; .*\(line 3 of the input\)\n$/,
    )
    assert.equal((await jsonLines(['kv', folder, 'info']))[0]!.keys, 2)
  })

  it('ends in good order on SIGINT, and when nobody reads the keys', async (t) => {
    const folder = freshLog(t)
    for (const end of ['SIGINT', 'reader'] as const) {
      const writer = new Tidemark(['kv', folder, 'set', '--ack', '--quiet'])
      const feeding = setInterval(() => writer.stdin.write(`${end}\tvalue\n`.repeat(100)), 1)
      t.after(() => clearInterval(feeding))
      await writer.printed(100)
      if (end === 'SIGINT') writer.kill('SIGINT')
      else writer.stdoutStream.destroy()
      const { code, stderr } = await writer.result()
      assert.deepEqual([code, stderr], [end === 'SIGINT' ? 130 : 1, ''])
      assert.equal((await jsonLines(['info', folder]))[0]!.clean, true)
    }
  })

  it('loses no key that was acknowledged to kill -9', async (t) => {
    const folder = freshLog(t)
    const input = (round: number) =>
      Array.from({ length: 20_000 }, (_, i) => `key ${i}\t${round} of ${i}\n`).join('')
    const acknowledged: number[] = []
    for (let round = 0; round < caseCount(5, 3); round++) {
      const writer = new Tidemark(['kv', folder, 'set', '--ack', '--quiet'])
      writer.stdin.write(input(round))
      await writer.printed(1 + round * 1000)
      writer.kill('SIGKILL')
      const { code, stderr } = await writer.result()
      assert.deepEqual([code, stderr], [null, ''])
      acknowledged.push(writer.lines().length)
      assert.equal(writer.lines().at(-1), `key ${acknowledged[round]! - 1}`)
      const all = await jsonLines(['kv', folder, 'list'])
      const found = new Map(all.map(({ key, value }) => [key, Number.parseInt(String(value), 10)]))
      acknowledged.forEach((count, of) => {
        for (let i = 0; i < count; i++) assert.ok(found.get(`key ${i}`)! >= of, `key ${i}`)
      })
      for (const { key, value } of all)
        assert.equal(String(value).split(' of ')[1], String(key).slice(4))
    }
    t.diagnostic(`${acknowledged.join(', ')} keys acknowledged before each kill`)
  })
})

describe('tidemark kv, while another process writes', () => {
  it('gets, lists, watches and shows what is there', async (t) => {
    const folder = freshLog(t)
    await kv(folder, 'set', 'first', '1')
    const writer = new Tidemark(['kv', folder, 'set', '--ack', '--quiet'])
    const watcher = new Tidemark(['kv', folder, 'watch', '--from', '0'])
    const jsonWatcher = new Tidemark(['kv', folder, 'watch', '--from', '1', '--json'])
    writer.stdin.write('second\\t\tline\\n\nfirst\t3\n')
    await writer.printed(2)
    assert.equal(await kv(folder, 'get', 'first'), '3\n')
    assert.equal(await kv(folder, 'list'), 'first\t3\nsecond\\t\tline\\n\n')
    const [info] = await jsonLines(['kv', folder, 'info'])
    assert.deepEqual([info!.keys, info!.offset, info!.highWaterMark], [2, 3, 3])
    const locked = await failing(1, folder, 'set', 'a', 'b')
    assert.match(locked, new RegExp(`^tidemark: LOCKED: .*\\b${writer.pid}\\b.*\\n$`))
    assert.match(await failing(1, folder, 'snapshot'), /^tidemark: LOCKED: /)
    writer.stdin.end()
    await writer.result()
    await kv(folder, 'delete', 'second\t')
    await watcher.printed(4)
    await jsonWatcher.printed(3)
    watcher.kill('SIGINT')
    const { code, stdout, stderr } = await watcher.result()
    assert.deepEqual([code, stderr], [130, ''])
    assert.equal(
      stdout.toString(),
      'set first\t1\nset second\\t\tline\\n\nset first\t3\ndelete second\\t\n',
    )
    jsonWatcher.stdoutStream.destroy()
    await kv(folder, 'set', 'one', 'more')
    assert.deepEqual(parseLines(jsonWatcher.stdout), [
      { offset: 1, key: 'second\t', value: 'line\n' },
      { offset: 2, key: 'first', value: '3' },
      { offset: 3, key: 'second\t', value: null },
    ])
    const quiet = await jsonWatcher.result()
    assert.deepEqual([quiet.code, quiet.stderr], [0, ''])
  })

  it('ends quietly when nobody reads the list to its end', async (t) => {
    const folder = freshLog(t)
    const input = Array.from({ length: 20_000 }, (_, i) => `${i}\t${'x'.repeat(50)}\n`).join('')
    await setFrom(folder, input, '--sync', 'never')
    const list = new Tidemark(['kv', folder, 'list'])
    await list.printed(1)
    list.stdoutStream.destroy()
    const { code, stderr } = await list.result()
    assert.deepEqual([code, stderr], [0, ''])
  })
})

describe('tidemark kv snapshot and info', () => {
  it('take a snapshot, and show where', async (t) => {
    const folder = freshLog(t)
    await setFrom(folder, 'a\t1\nb\t2\n')
    assert.match(await kv(folder, 'snapshot'), /^snapshot at offset 2: 2 keys, \d+ bytes\n$/)
    await kv(folder, 'set', 'a', '3')
    const [taken] = await jsonLines(['kv', folder, 'snapshot'])
    assert.deepEqual([taken!.offset, taken!.keys], [3, 2])
    const [info] = await jsonLines(['kv', folder, 'info'])
    const { bytes, ...rest } = info!
    assert.ok((bytes as number) > 0)
    assert.deepEqual(rest, {
      folder,
      keys: 2,
      offset: 3,
      snapshots: [2, 3],
      lowWaterMark: 2,
      highWaterMark: 3,
    })
    const shown = await kv(folder, 'info')
    assert.match(shown, /^keys +2$/m)
    assert.match(shown, /^snapshots +2, 3$/m)
    assert.equal(await kv(folder, 'list'), 'a\t3\nb\t2\n')
    const past = await failing(1, folder, 'watch', '--from', '0')
    assert.match(past, /^tidemark: TRIMMED: changes are known from offset 3 on/)
  })
})

describe('tidemark kv, used wrongly', () => {
  it('names what is wrong', async (t) => {
    const folder = freshLog(t)
    const refused = async (...words: string[]) => {
      const why = await failing(2, folder, ...words)
      assert.match(why, /^tidemark: USAGE: [^\n]+\n$/)
      return why
    }
    assert.match(await refused(), /kv needs <action>: set, get/)
    assert.match(await refused('gte', 'a'), /no action "gte"; did you mean get\?/)
    assert.match(await refused('constructor'), /no action "constructor"; there is set, get/)
    assert.match(await refused('get'), /kv get needs <key>, and was given 0/)
    assert.match(await refused('set', 'a'), /kv set needs <key> <value>, and was given 1/)
    assert.match(await refused('set', 'a', 'b', 'c'), /what to do with "c"/)
    assert.match(await refused('cas', 'a', 'b'), /kv cas needs <key> <expected> <next>/)
    assert.match(await refused('cas', 'a', 'b', 'c', '--absent'), /what to do with "c"/)
    assert.match(await refused('list', 'a'), /kv list does not know what to do with "a"/)
    assert.match(
      await refused('get', 'a', '--ttl', '5'),
      /--ttl is not for kv get, which has --json/,
    )
    assert.match(
      await refused('set', 'a', 'b', '--ttl', '0'),
      /--ttl must be a whole number from 1/,
    )
    assert.match(await refused('set', 'a', 'b', '--sync', 'now'), /--sync must be always/)
    assert.match(await refused('watch', '--from', 'a'), /--from must be a whole number/)
    assert.match(await refused('list', '--limit', 'x'), /--limit must be/)
    assert.equal(existsSync(folder), false)
  })

  it('makes no map where one is only looked for', async (t) => {
    const folder = freshLog(t)
    for (const words of [['get', 'a'], ['list'], ['watch'], ['info'], ['snapshot']]) {
      const why = await failing(1, folder, ...words)
      assert.match(why, /^tidemark: NOT_FOUND: there is no log in [^\n]+\n$/)
      assert.equal(existsSync(folder), false)
    }
    await kv(folder, 'delete', 'a')
    assert.equal(await kv(folder, 'list'), '')
  })

  it('is refused on a log that is no map', async (t) => {
    const folder = freshLog(t)
    await tidemark(['append', folder], 'a line\n')
    for (const words of [['get', 'a'], ['set', 'a', 'b'], ['list']]) {
      assert.match(await failing(1, folder, ...words), /^tidemark: CORRUPT: .*not a command/)
    }
  })
})

describe('the completion of kv', () => {
  it('offers the actions behind the folder', async () => {
    for (const [shell, line] of [
      ['bash', /kv\) flags='[^']*--absent[^']*'; words='set get delete cas [^']*'; place=3 ;;/],
      ['zsh', /kv\) _arguments .*'2:word:\(set get delete/],
      ['fish', /__fish_seen_subcommand_from kv' -a watch$/m],
    ] as const) {
      assert.match((await tidemark(['completion', shell])).stdout.toString(), line)
    }
  })
})
