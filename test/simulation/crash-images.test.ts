import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type File, seededRandom } from '#dist/io/index.js'
import { extremeImages, ForgetfulFiles } from '#dist/simulation/index.js'
import { describeFiles, durableFile, letters, runs, same, sampled, seen } from './contents.ts'

const SECTOR = 512

type Change = { position: number; data: Uint8Array } | { size: number }

/**
 * All contents that POSIX with atomic sectors allows after a crash: an enumeration written without
 * looking at the library's. Each sector of each write is there or not; where not all are, the file
 * may reach to the end of any of them; each truncation happened or not.
 */
function allowed(before: Uint8Array, changes: readonly Change[]): Set<string> {
  let states = new Map([[runs(before), before]])
  for (const change of changes) {
    const next = new Map<string, Uint8Array>()
    const add = (state: Uint8Array) => next.set(runs(state), state)
    for (const state of states.values()) {
      for (const after of 'size' in change
        ? truncated(state, change.size)
        : written(state, change)) {
        add(after)
      }
    }
    states = next
  }
  return new Set([...states.values()].map((state) => `/f: ${runs(state)}`))
}

function truncated(state: Uint8Array, size: number): Uint8Array[] {
  return [state, resized(state, size)]
}

function resized(state: Uint8Array, size: number): Uint8Array {
  const result = new Uint8Array(size)
  result.set(state.subarray(0, size))
  return result
}

function written(state: Uint8Array, { position, data }: { position: number; data: Uint8Array }) {
  const pieces: [start: number, end: number][] = []
  const end = position + data.length
  for (let at = position; at < end; ) {
    const stop = Math.min(end, (Math.floor(at / SECTOR) + 1) * SECTOR)
    pieces.push([at, stop])
    at = stop
  }
  const results: Uint8Array[] = []
  for (let mask = 0; mask < 2 ** pieces.length; mask++) {
    let result = state
    pieces.forEach(([start, stop], index) => {
      if (((mask >> index) & 1) === 0) return
      result = resized(result, Math.max(result.length, stop))
      result.set(data.subarray(start - position, stop - position), start)
    })
    results.push(result)
    for (const [, stop] of pieces) {
      if (mask !== 2 ** pieces.length - 1)
        results.push(resized(result, Math.max(result.length, stop)))
    }
  }
  return results
}

function apply(file: File, change: Change): void {
  if ('size' in change) file.truncateSync(change.size)
  else file.writeSync(change.data, change.position)
}

describe('crashImage: every image that can be, and no other', () => {
  const write = (position: number, letter: string, count: number): Change => {
    return { position, data: letters(letter, count) }
  }
  const cases: [name: string, before: Uint8Array, changes: Change[]][] = [
    ['two writes to two sectors', letters('o', 1024), [write(0, 'a', 512), write(512, 'b', 512)]],
    ['two writes to one sector', letters('o', 512), [write(0, 'a', 300), write(200, 'b', 200)]],
    ['the same bytes twice', letters('o', 100), [write(0, 'a', 100), write(0, 'b', 100)]],
    ['a write across sectors', letters('o', 2000), [write(500, 'a', 1000)]],
    ['a write within a sector', letters('o', 700), [write(520, 'a', 5)]],
    ['growth by one write', letters('o', 100), [write(100, 'a', 1200)]],
    ['growth by two writes', new Uint8Array(0), [write(0, 'a', 600), write(600, 'b', 600)]],
    ['growth with a gap', letters('o', 10), [write(1000, 'a', 100), write(3, 'b', 3)]],
    ['a cut', letters('o', 900), [{ size: 100 }]],
    ['a cut and a write behind it', letters('o', 900), [{ size: 100 }, write(100, 'a', 600)]],
    ['a write and a cut through it', letters('o', 100), [write(100, 'a', 900), { size: 300 }]],
    ['an extension and a write into it', letters('o', 9), [{ size: 2048 }, write(9, 'a', 700)]],
    ['a file zeroed by two cuts', letters('o', 600), [{ size: 0 }, { size: 600 }]],
    ['three writes', letters('o', 600), [write(0, 'a', 9), write(5, 'b', 9), write(510, 'c', 9)]],
  ]
  for (const [name, before, changes] of cases) {
    it(name, () => {
      const { files, file } = durableFile(before)
      for (const change of changes) apply(file, change)
      same(sampled(files, 8000), allowed(before, changes))
    })
  }

  it('all four combinations of two sectors', () => {
    const { files, file } = durableFile(letters('o', 1024))
    file.writeSync(letters('n', 1024), 0)
    same(sampled(files), ['/f: o1024', '/f: n1024', '/f: n512 o512', '/f: o512 n512'])
  })

  it('a combination of what becomes of two files', () => {
    const { files, file } = durableFile()
    const other = files.openSync('/g', 'create')
    files.syncDirectorySync('/')
    file.writeSync(letters('a', 1), 0)
    other.writeSync(letters('b', 1), 0)
    const expected = ['', '.1', 'a1'].flatMap((f) =>
      ['', '.1', 'b1'].map((g) => `/f: ${f}; /g: ${g}`),
    )
    same(sampled(files), expected)
  })

  it('random writes and truncations, against the enumeration', () => {
    let images = 0
    for (let seed = 0; seed < 200; seed++) {
      const random = seededRandom(seed)
      const below = (bound: number) => random.uint32() % bound
      const before = letters('o', below(1200))
      const { files, file } = durableFile(before)
      const changes: Change[] = []
      for (let left = 1 + below(4); left > 0; left--) {
        const letter = String.fromCharCode(97 + changes.length)
        const size = below(1200)
        changes.push(below(4) === 0 ? { size } : write(size, letter, 1 + below(900)))
        apply(file, changes.at(-1)!)
      }
      const expected = allowed(before, changes)
      for (const image of [...seen(files, random, 60), ...extremeImages(files)]) {
        images++
        assert.ok(
          expected.has(describeFiles(image.files)),
          `${describeFiles(image.files)} cannot be`,
        )
      }
    }
    assert.ok(images > 12_000, `only ${images} images were checked`)
  })
})

describe('crashImage: names', () => {
  it('makes and removes names, or does not', () => {
    const { files } = durableFile(letters('o', 1))
    files.openSync('/g', 'create')
    files.openSync('/h', 'create')
    files.removeSync('/f')
    const subsets = ['', '/f: o1'].flatMap((f) => {
      return ['', '/g: '].flatMap((g) =>
        ['', '/h: '].map((h) => [f, g, h].filter(Boolean).join('; ')),
      )
    })
    same(sampled(files), subsets)
  })

  it('loses a rename whose folder was not synced, but never half of it', () => {
    const { files } = durableFile(letters('o', 1))
    files.renameSync('/f', '/g')
    same(sampled(files), ['/f: o1', '/g: o1'])
    files.renameSync('/g', '/h')
    same(sampled(files), ['/f: o1', '/g: o1', '/h: o1'])
    files.syncDirectorySync('/')
    same(sampled(files), ['/h: o1'])
  })

  it('replaces a file by write, sync and rename: always one of the two, whole', () => {
    const { files } = durableFile(letters('o', 600))
    const temporary = files.openSync('/f.tmp', 'create')
    temporary.writeSync(letters('n', 700), 0)
    temporary.datasyncSync()
    files.renameSync('/f.tmp', '/f')
    same(sampled(files), ['/f: o600', '/f: o600; /f.tmp: n700', '/f: n700'])
  })

  it('shows why the sync before the rename is needed', () => {
    const { files } = durableFile(letters('o', 600))
    files.openSync('/f.tmp', 'create').writeSync(letters('n', 100), 0)
    files.renameSync('/f.tmp', '/f')
    const left = ['', '.100', 'n100']
    const replaced = left.map((content) => `/f: ${content}`)
    const both = left.map((content) => `/f: o600; /f.tmp: ${content}`)
    same(sampled(files), ['/f: o600', ...both, ...replaced])
  })

  it('may lose a file that was moved away when its old name was made again', () => {
    const { files } = durableFile(letters('o', 1))
    files.renameSync('/f', '/old')
    files.openSync('/f', 'create')
    same(sampled(files), ['/f: o1', '/old: o1', '/f: ; /old: o1', '/f: '])
  })

  it('loses a folder with all that is in it, and moves between folders in one step', () => {
    const { files } = durableFile(letters('o', 1))
    files.makeFolderSync('/d')
    files.renameSync('/f', '/d/g')
    same(sampled(files), ['/f: o1', '/d/ ; /f: o1', '/d/ /d/g: o1', ''])
    files.syncDirectorySync('/')
    same(sampled(files), ['/d/ /d/g: o1'])
  })

  it('keeps what was moved to the place of something whose removal is not safe', () => {
    const files = new ForgetfulFiles()
    files.makeFolderSync('/a')
    files.makeFolderSync('/b')
    files.openSync('/a/x', 'create').truncateSync(1)
    files.openSync('/b/z', 'create')
    for (const folder of ['/', '/a', '/b']) files.syncDirectorySync(folder)
    files.removeSync('/a/x')
    files.renameSync('/b/z', '/a/x')
    files.syncDirectorySync('/b')
    same(sampled(files), ['/a/ /a/x: ; /b/ '])
  })

  it('keeps what is synced behind something that is not', () => {
    const files = new ForgetfulFiles()
    files.makeFolderSync('/a')
    files.makeFolderSync('/b')
    files.syncDirectorySync('/')
    files.openSync('/a/x', 'create')
    files.openSync('/a/y', 'create')
    files.renameSync('/a/x', '/b/x')
    files.openSync('/b/z', 'create')
    files.syncDirectorySync('/b')
    const always = '/b/ /b/x: ; /b/z: '
    same(sampled(files), [`/a/ ; ${always}`, `/a/ /a/y: ; ${always}`])
    files.syncDirectorySync('/a')
    assert.deepEqual(files.unsynced(), [])
    same(sampled(files), [`/a/ /a/y: ; ${always}`])
  })
})
