// A file of a format that this release does not know is refused by that name; it is not called damaged,
// and nothing of it is touched. An index is a shortcut only: it is ignored.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  backupLog,
  type DumpRecord,
  deleteLog,
  dumpLog,
  inspectLog,
  Log,
  repairLog,
  TidemarkError,
  verifyLog,
} from 'tidemark'
import { crc32 } from '#dist/base/index.js'
import type { ForgetfulFiles } from '#dist/simulation/index.js'
import { dump, readFolder, writeFolder } from './dump.ts'
import { kindOf, resealFile } from './reseal.ts'
import { closedLog, FOLDER } from './specimens.ts'

/** Where the version lies, in each kind of file that has one. */
const VERSION_AT = 4

/** The specimen, with the files that `match` says they have version 2 and checksums that fit. */
async function newer(match: (name: string) => boolean): Promise<ForgetfulFiles> {
  const contents = readFolder((await closedLog()).files, FOLDER)
  let changed = 0
  for (const [name, bytes] of contents) {
    if (!match(name)) continue
    bytes[VERSION_AT] = 2
    resealFile(kindOf(name)!, bytes)
    changed++
  }
  assert.ok(changed > 0)
  return writeFolder(contents, FOLDER)
}

function expectUnsupported(error: unknown, name: RegExp): true {
  assert.ok(error instanceof TidemarkError, `not a TidemarkError: ${error}`)
  assert.equal(error.code, 'UNSUPPORTED_VERSION', error.message)
  assert.match(error.details.file ?? '', name)
  assert.match(error.message, /format version 2\b.*knows versions up to 1\b/)
  return true
}

for (const [what, name] of [
  ['a store', /\.store$/],
  ['the first store', /^0{19}6-.*\.store$/],
  ['the meta file', /^meta$/],
] as const) {
  describe(`${what} of version 2`, () => {
    for (const mode of ['read', 'append'] as const) {
      it(`is refused by name in mode ${mode}, and left alone`, async () => {
        const files = await newer((each) => name.test(each))
        const before = dump(readFolder(files, FOLDER))
        const opening = Log.open(FOLDER, { files, mode })
        await assert.rejects(opening, (error) => expectUnsupported(error, name))
        assert.equal(dump(readFolder(files, FOLDER)), before)
      })
    }

    it('is refused by name by a verification and an inspection', async () => {
      const files = await newer((each) => name.test(each))
      for (const look of [verifyLog, inspectLog]) {
        await assert.rejects(look(FOLDER, { files }), (error) => expectUnsupported(error, name))
      }
    })

    it('is refused by name by a repair and a backup, and left alone', async () => {
      const files = await newer((each) => name.test(each))
      const before = dump(readFolder(files, FOLDER))
      for (const skip of [false, true]) {
        const repair = repairLog(FOLDER, { files, skip })
        await assert.rejects(repair, (error) => expectUnsupported(error, name))
      }
      const backup = backupLog(FOLDER, '/copy', { files })
      await assert.rejects(backup, (error) => expectUnsupported(error, name))
      assert.equal(files.existsSync('/copy'), false)
      assert.equal(dump(readFolder(files, FOLDER)), before)
    })

    it('is named by a dump, and deleted by a deletion', async () => {
      const files = await newer((each) => name.test(each))
      const records: DumpRecord[] = []
      for await (const record of dumpLog(FOLDER, { files })) records.push(record)
      const problems = records.flatMap((one) => ('problem' in one ? [one.problem] : []))
      assert.ok(problems.length > 0)
      for (const problem of problems) assert.equal(problem, 'format version 2')
      await deleteLog(FOLDER, { files })
      assert.equal(files.existsSync(FOLDER), false)
    })
  })
}

describe('an index of version 2', () => {
  for (const mode of ['read', 'append'] as const) {
    it(`is ignored in mode ${mode}, and made anew`, async () => {
      const { contents } = await closedLog()
      const files = await newer((name) => name.endsWith('.index'))
      const log = await Log.open(FOLDER, { files, mode })
      for (const { offset, count, data } of contents.entries) {
        const entry = await log.get(offset + count - 1)
        assert.equal(entry?.data.toString('base64'), data)
      }
      await log.close()
    })
  }

  it('is no damage', async () => {
    const files = await newer((name) => name.endsWith('.index'))
    const report = await verifyLog(FOLDER, { files })
    assert.equal(report.sound, true)
    assert.ok(report.notes.every((note) => /will be rebuilt/.test(note)))
    assert.ok(report.notes.length >= 3)
  })
})

describe('a snapshot of version 2', () => {
  it('is refused by name', async () => {
    const files = await newer((name) => name.endsWith('.snapshot'))
    const log = await Log.open(FOLDER, { files, mode: 'read' })
    const reading = async () => {
      for await (const _ of log.snapshots.read(14));
    }
    await assert.rejects(reading, (error) => expectUnsupported(error, /\.snapshot$/))
    await log.close()
  })
})

describe('a marks file of another format', () => {
  it('is ignored, as its meta file is what refuses the log', async () => {
    const { files, contents } = await closedLog()
    const bytes = readFolder(files, FOLDER)
    bytes.get('marks')![0]! ^= 1
    resealFile('marks', bytes.get('marks')!)
    const log = await Log.open(FOLDER, { files: writeFolder(bytes, FOLDER), mode: 'read' })
    const last = contents.entries.at(-1)!
    assert.equal(log.highWaterMark, last.offset + last.count)
    await log.close()
  })
})

describe('an unfinished repair of version 2', () => {
  it('is refused by name by the next repair, and is no log for anybody else', async () => {
    const { files } = await closedLog()
    const line = Buffer.from(JSON.stringify({ version: 2 }))
    const sum = crc32(line, 0, line.length).toString(16).padStart(8, '0')
    const contents = readFolder(files, FOLDER)
    contents.set('repair', Buffer.from(`${line}\n${sum}\n`))
    const changed = writeFolder(contents, FOLDER)
    const repair = repairLog(FOLDER, { files: changed })
    await assert.rejects(repair, (error) => expectUnsupported(error, /^repair$/))
    const opening = Log.open(FOLDER, { files: changed })
    await assert.rejects(opening, { code: 'CORRUPT' })
  })
})
