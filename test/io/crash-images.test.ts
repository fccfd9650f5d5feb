import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type CrashImage,
  cloneAll,
  crashImage,
  errnoError,
  extremeImages,
  type File,
  ForgetfulFiles,
  seededRandom,
} from '#dist/io/index.js'

const SECTOR = 512

/** A file's content in short: runs of equal bytes as letter and length, zeros as dots. */
function runs(data: Uint8Array): string {
  const words: string[] = []
  for (let at = 0; at < data.length; ) {
    const start = at
    while (at < data.length && data[at] === data[start]) at++
    words.push(`${data[start] === 0 ? '.' : String.fromCharCode(data[start])}${at - start}`)
  }
  return words.join(' ')
}

/** Everything in a file system, as one string. */
function describeFiles(files: ForgetfulFiles, folder = '/'): string {
  const lines: string[] = []
  for (const name of files.listSync(folder).sort()) {
    const path = folder === '/' ? `/${name}` : `${folder}/${name}`
    lines.push(
      isFolder(files, path) ? `${path}/ ${describeFiles(files, path)}` : oneFile(files, path),
    )
  }
  return lines.join('; ')
}

function isFolder(files: ForgetfulFiles, path: string): boolean {
  try {
    files.listSync(path)
    return true
  } catch {
    return false
  }
}

function oneFile(files: ForgetfulFiles, path: string): string {
  return `${path}: ${runs(contentOf(files, path))}`
}

function contentOf(files: ForgetfulFiles, path: string): Uint8Array {
  const file = files.openSync(path, 'read')
  const data = new Uint8Array(file.sizeSync())
  file.readSync(data, 0)
  file.closeSync()
  return data
}

function letters(letter: string, count: number): Uint8Array {
  return new Uint8Array(count).fill(letter.charCodeAt(0))
}

/** Every image that `count` random ones contain, as strings. */
function sampled(files: ForgetfulFiles, count = 6000): Set<string> {
  const random = seededRandom(1)
  const seen = new Set<string>()
  for (let at = 0; at < count; at++) seen.add(describeFiles(crashImage(files, random).files))
  return seen
}

function same(actual: Set<string>, expected: Iterable<string>): void {
  assert.deepEqual([...actual].sort(), [...new Set(expected)].sort())
}

/** A durable file `/f` with this content. */
function durableFile(content = new Uint8Array(0)): { files: ForgetfulFiles; file: File } {
  const files = new ForgetfulFiles()
  const file = files.openSync('/f', 'create')
  if (content.length > 0) file.writeSync(content, 0)
  file.datasyncSync()
  files.syncDirectorySync('/')
  return { files, file }
}

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
      same(sampled(files, 20_000), allowed(before, changes))
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
    for (let seed = 0; seed < 300; seed++) {
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
    assert.ok(images > 20_000, `only ${images} images were checked`)
  })
})

function seen(files: ForgetfulFiles, random: { uint32(): number }, count: number): CrashImage[] {
  return Array.from({ length: count }, () => crashImage(files, random))
}

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

describe('crashImage: failed syncs', () => {
  const failSync = (files: ForgetfulFiles, file: File) => {
    files.fault = (op) =>
      op.kind === 'datasync' ? errnoError('EIO', 'fdatasync', op.path) : undefined
    assert.throws(() => file.datasyncSync(), { code: 'EIO' })
    files.fault = undefined
  }

  it('leaves each sector losable after a later datasync, and saves what came after', () => {
    const { files, file } = durableFile(letters('o', 1024))
    file.writeSync(letters('x', 1024), 0)
    failSync(files, file)
    file.writeSync(letters('n', 10), 100)
    file.datasyncSync()
    const first = ['/f: x100 n10 x', '/f: o100 n10 o']
    same(sampled(files), [
      `${first[0]}914`,
      `${first[0]}402 o512`,
      `${first[1]}914`,
      `${first[1]}402 x512`,
    ])
  })

  it('is healed by writing the bytes again', () => {
    const { files, file } = durableFile(letters('o', 1024))
    file.writeSync(letters('x', 1024), 0)
    failSync(files, file)
    file.writeSync(letters('x', 1024), 0)
    assert.equal(sampled(files).size, 4)
    file.datasyncSync()
    same(sampled(files), ['/f: x1024'])
    assert.equal(crashImage(files, seededRandom(1)).kind, 'nothing unsynced')
  })

  it('is not healed by bytes that are losable themselves', () => {
    const { files, file } = durableFile(letters('o', 10))
    file.writeSync(letters('x', 10), 0)
    failSync(files, file)
    file.writeSync(letters('y', 10), 0)
    failSync(files, file)
    file.writeSync(letters('n', 1), 10)
    file.datasyncSync()
    file.writeSync(letters('z', 10), 0)
    same(
      sampled(files),
      ['o', 'x', 'y', 'z'].map((letter) => `/f: ${letter}10 n1`),
    )
  })

  it('is still losable after the process ended and another wrote behind it', () => {
    const { files, file } = durableFile(letters('o', 10))
    file.writeSync(letters('x', 10), 10)
    failSync(files, file)
    const restarted = cloneAll(files)
    const again = restarted.openSync('/f', 'write')
    again.writeSync(letters('n', 10), 20)
    again.datasyncSync()
    same(sampled(restarted), ['/f: o10 x10 n10', '/f: o10 .10 n10'])
    again.writeSync(letters('x', 10), 10)
    again.datasyncSync()
    same(sampled(restarted), ['/f: o10 x10 n10'])
  })

  it('never loses later synced bytes, whatever overlaps', () => {
    for (let seed = 0; seed < 400; seed++) {
      const random = seededRandom(seed)
      const below = (bound: number) => random.uint32() % bound
      const { files, file } = durableFile(letters('o', below(30)))
      /** Bytes that a successful datasync has saved since they were last written; -1 for any. */
      const certain: number[] = [...contentOf(files, '/f')]
      for (let step = 0; step < 12; step++) {
        const written = new Map<number, number>()
        for (let left = below(3); left > 0; left--) {
          const position = below(30)
          const data = letters(String.fromCharCode(97 + step), 1 + below(12))
          file.writeSync(data, position)
          for (const [at, byte] of data.entries()) written.set(position + at, byte)
        }
        const fails = below(3) === 0
        if (fails) failSync(files, file)
        else file.datasyncSync()
        for (const [at, byte] of written) {
          while (certain.length <= at) certain.push(-1)
          certain[at] = fails ? -1 : byte
        }
        assert.equal(describeFiles(allKept(files).files), describeFiles(files))
        for (const image of [...extremeImages(files, 40), ...seen(files, random, 5)]) {
          const left = contentOf(image.files, '/f')
          certain.forEach((byte, at) => {
            if (byte !== -1) assert.equal(left[at], byte, `seed ${seed}, step ${step}, byte ${at}`)
          })
        }
      }
    }
  })
})

function allKept(files: ForgetfulFiles): CrashImage {
  return extremeImages(files).find((image) => /^(all kept|nothing unsynced)$/.test(image.kind))!
}

/** A state with a bit of everything unsynced in it. */
function busyFiles(): ForgetfulFiles {
  const { files, file } = durableFile(letters('o', 3000))
  files.makeFolderSync('/d')
  files.lockSync('/lock')
  files.openSync('/d/g', 'create').writeSync(letters('g', 2000), 0)
  files.renameSync('/d/g', '/d/h')
  file.writeSync(letters('a', 1500), 700)
  file.truncateSync(1800)
  file.writeSync(letters('b', 900), 1800)
  files.openSync('/k', 'create').writeSync(letters('k', 10), 0)
  return files
}

describe('crash images in general', () => {
  it('are a pure function of the state and the random source', () => {
    const list = (files: ForgetfulFiles) =>
      seen(files, seededRandom(7), 200).map((image) => [image.fingerprint, image.kind])
    const files = busyFiles()
    const first = list(files)
    assert.deepEqual(list(files), first)
    assert.deepEqual(list(busyFiles()), first)
    assert.deepEqual(list(cloneAll(files)), first)
    assert.ok(new Set(first.map(([fingerprint]) => fingerprint)).size > 120)
  })

  it('have equal fingerprints exactly if they are equal', () => {
    const byFingerprint = new Map<number, string>()
    const texts = new Set<string>()
    const random = seededRandom(3)
    const busy = busyFiles()
    for (let at = 0; at < 5000; at++) {
      const image = crashImage(busy, random)
      const text = describeFiles(image.files)
      assert.equal(byFingerprint.get(image.fingerprint) ?? text, text)
      byFingerprint.set(image.fingerprint, text)
      texts.add(text)
    }
    assert.equal(byFingerprint.size, texts.size)
    assert.ok(texts.size > 1200, `only ${texts.size} distinct images`)
  })

  it('tell empty folders, names and lengths of zeros apart', () => {
    const make = (build: (files: ForgetfulFiles) => void): number => {
      const files = new ForgetfulFiles()
      build(files)
      return allKept(files).fingerprint
    }
    const prints = [
      make(() => {}),
      make((files) => files.makeFolderSync('/a')),
      make((files) => files.openSync('/a', 'create')),
      make((files) => files.openSync('/b', 'create')),
      make((files) => files.openSync('/a', 'create').truncateSync(1)),
      make((files) => files.openSync('/a', 'create').truncateSync(2)),
      make((files) => files.openSync('/a', 'create').writeSync(letters('x', 2), 0)),
    ]
    assert.equal(new Set(prints).size, prints.length)
    assert.equal(
      prints[4],
      make((files) => files.openSync('/a', 'create').writeSync(new Uint8Array(1), 0)),
    )
  })

  it('leave the state alone, and are independent of it and of each other', () => {
    const files = busyFiles()
    const before = describeFiles(files)
    const images = [...extremeImages(files), ...seen(files, seededRandom(5), 100)]
    const texts = images.map((image) => describeFiles(image.files))
    for (const { files: image } of images) {
      for (const name of image.listSync('/')) {
        if (isFolder(image, `/${name}`)) continue
        const file = image.openSync(name, 'write')
        file.writeSync(letters('!', 20), 5)
        file.datasyncSync()
        file.truncateSync(3)
        file.datasyncSync()
      }
    }
    assert.equal(describeFiles(files), before)
    const again = [...extremeImages(files), ...seen(files, seededRandom(5), 100)]
    assert.deepEqual(
      again.map((image) => describeFiles(image.files)),
      texts,
    )
    const file = files.openSync('/f', 'write')
    file.writeSync(letters('?', 3000), 0)
    file.datasyncSync()
    assert.deepEqual(
      again.map((image) => describeFiles(image.files)),
      texts,
    )
  })

  it('are durable entirely, hold no lock, and can crash again', () => {
    for (const { files: image } of extremeImages(busyFiles())) {
      assert.deepEqual(image.unsynced(), [])
      assert.equal(image.lockHolderSync('/lock'), undefined)
      const before = describeFiles(image)
      const again = crashImage(image, seededRandom(1))
      assert.equal(again.kind, 'nothing unsynced')
      assert.equal(describeFiles(again.files), before)
      image.openSync('/new', 'create').writeSync(letters('n', 1), 0)
      for (const name of image.listSync('/')) {
        if (!isFolder(image, `/${name}`))
          image.openSync(name, 'write').writeSync(letters('!', 2), 1)
      }
      const worst = extremeImages(image)[0]!
      assert.equal(worst.kind, 'all lost, name lost')
      assert.equal(describeFiles(worst.files), before)
    }
  })

  it('carry over how much space the files take up', () => {
    const { files, file } = durableFile(letters('o', 10))
    file.truncateSync(1000)
    file.datasyncSync()
    const image = crashImage(files, seededRandom(1)).files
    image.capacityBytes = 12
    const copy = image.openSync('/f', 'write')
    copy.writeSync(letters('n', 2), 10)
    assert.throws(() => copy.writeSync(letters('n', 1), 12), { code: 'ENOSPC' })
  })

  it('say what the crash did', () => {
    const { files, file } = durableFile(letters('o', 2048))
    const kinds = () =>
      [...new Set(seen(files, seededRandom(2), 3000).map((image) => image.kind))].sort()
    assert.deepEqual(kinds(), ['nothing unsynced'])
    file.writeSync(letters('a', 1), 0)
    assert.deepEqual(kinds(), ['all kept', 'all lost'])
    file.writeSync(letters('b', 1), 600)
    assert.deepEqual(kinds(), ['all kept', 'all lost', 'prefix', 'reordered'])
    file.datasyncSync()
    file.writeSync(letters('c', 600), 0)
    assert.deepEqual(kinds(), ['all kept', 'all lost', 'torn write'])
    file.datasyncSync()
    file.writeSync(letters('d', 1), 2048)
    assert.deepEqual(kinds(), ['all kept', 'all lost', 'size without data'])
    file.datasyncSync()
    files.openSync('/g', 'create')
    assert.deepEqual(kinds(), ['all kept', 'all lost, name lost'])
  })
})

describe('extremeImages', () => {
  it('gives every edge once', () => {
    const { files, file } = durableFile(letters('o', 4))
    file.writeSync(letters('a', 4), 0)
    file.writeSync(letters('b', 4), 4)
    file.writeSync(letters('c', 4), 8)
    files.openSync('/g', 'create')
    const images = extremeImages(files).map((image) => describeFiles(image.files))
    same(new Set(images), [
      '/f: o4',
      '/f: a4 b4 c4; /g: ',
      '/f: a4 b4 c4',
      '/f: o4; /g: ',
      '/f: o4 .8; /g: ',
      '/f: o4 b4 c4; /g: ',
      '/f: a4 .4 c4; /g: ',
      '/f: a4 b4; /g: ',
      '/f: a4; /g: ',
      '/f: a4',
      '/f: a4 b4',
    ])
    assert.equal(images.length, new Set(images).size)
    assert.equal(images[0], '/f: o4')
    assert.equal(images[1], '/f: a4 b4 c4; /g: ')
  })

  it('tears writes at their first and last sector', () => {
    const { files, file } = durableFile(letters('o', 2048))
    file.writeSync(letters('n', 2000), 10)
    const images = new Set(extremeImages(files).map((image) => describeFiles(image.files)))
    same(images, ['/f: o2048', '/f: o10 n2000 o38', '/f: o512 n1498 o38', '/f: o10 n1526 o512'])
  })

  it('gives the state in which everything is lost and no other when nothing is unsynced', () => {
    const { files } = durableFile(letters('o', 4))
    assert.deepEqual(
      extremeImages(files).map((image) => image.kind),
      ['nothing unsynced'],
    )
  })

  it('stays within its limit', () => {
    const { files, file } = durableFile()
    for (let at = 0; at < 500; at++) file.writeSync(letters('a', 1), at * 2)
    assert.ok(extremeImages(files).length <= 256)
    assert.ok(extremeImages(files).length > 200)
    assert.ok(extremeImages(files, 20).length <= 20)
    assert.equal(extremeImages(files, 20)[1]!.kind, 'all kept')
  })
})

describe('cloneAll', () => {
  it('keeps everything, and what was unsynced is so still', () => {
    const files = busyFiles()
    const clone = cloneAll(files)
    assert.equal(describeFiles(clone), describeFiles(files))
    assert.deepEqual(clone.unsynced().sort(), files.unsynced().sort())
    assert.equal(clone.lockHolderSync('/lock'), undefined)
    assert.deepEqual(extremeImages(clone), extremeImages(files))
  })

  it('is independent of the original', async () => {
    const { files, file } = durableFile(letters('o', 4))
    file.writeSync(letters('a', 4), 0)
    const syncing = file.datasync()
    const clone = cloneAll(files)
    await syncing
    same(sampled(clone), ['/f: o4', '/f: a4'])
    same(sampled(files), ['/f: a4'])
    const again = clone.openSync('/f', 'write')
    again.writeSync(letters('b', 2), 2)
    again.datasyncSync()
    same(sampled(clone), ['/f: a2 b2'])
    same(sampled(files), ['/f: a4'])
    clone.removeSync('/f')
    assert.equal(files.existsSync('/f'), true)
  })
})
