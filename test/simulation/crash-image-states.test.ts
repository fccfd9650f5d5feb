import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type File, seededRandom } from '#dist/io/index.js'
import {
  cloneAll,
  crashImage,
  errnoError,
  extremeImages,
  ForgetfulFiles,
} from '#dist/simulation/index.js'
import {
  allKept,
  contentOf,
  describeFiles,
  durableFile,
  isFolder,
  letters,
  same,
  sampled,
  seen,
} from './contents.ts'

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
    for (let seed = 0; seed < 150; seed++) {
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
