// What looks at a log from outside finds a writer that trims, and no damage.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { dumpLog, inspectLog, type Log, verifyLog } from 'tidemark'
import { ForgetfulFiles } from 'tidemark/testing'
import { FOLDER, openOn, someTexts } from './fixtures.ts'

/** Files whose log is trimmed by one segment at the `n`th look that anyone takes at them. */
class TrimmedFiles extends ForgetfulFiles {
  log: Log | undefined
  looks = 0
  trimAt = Number.POSITIVE_INFINITY
  #trimming = false

  override openSync(...args: Parameters<ForgetfulFiles['openSync']>) {
    this.#look()
    return super.openSync(...args)
  }

  override listSync(folder: string): string[] {
    this.#look()
    return super.listSync(folder)
  }

  #look(): void {
    if (this.#trimming || ++this.looks !== this.trimAt || !this.log) return
    this.#trimming = true
    // The blocking form of everything: it is over when this look goes on.
    this.log.trim(40).catch(() => {})
    this.log.appendSync('and on')
    this.#trimming = false
  }
}

async function everyLook(look: (files: TrimmedFiles) => Promise<unknown>): Promise<void> {
  for (let trimAt = 1; ; trimAt++) {
    const files = new TrimmedFiles()
    const log = await openOn(files, { segmentBytes: 600 })
    for (const text of someTexts(60)) await log.append(text)
    files.log = log
    files.looks = 0
    files.trimAt = trimAt
    await look(files)
    const isOver = files.looks < trimAt
    files.log = undefined
    await log.close()
    if (isOver) {
      assert.ok(trimAt > 5, `only ${trimAt} looks`)
      return
    }
  }
}

describe('beside a writer that trims', () => {
  it('a verification finds nothing wrong', async () => {
    await everyLook(async (files) => {
      const { damage } = await verifyLog(FOLDER, { files })
      assert.deepEqual(damage, [])
    })
  })

  it('an inspection succeeds', async () => {
    await everyLook(async (files) => {
      const { hasWriter, lowWaterMark, highWaterMark } = await inspectLog(FOLDER, { files })
      assert.ok(hasWriter && lowWaterMark <= highWaterMark)
    })
  })

  it('a dump passes over what is gone', async () => {
    await everyLook(async (files) => {
      let entries = 0
      for await (const record of dumpLog(FOLDER, { files })) {
        assert.notEqual(record.kind, 'bad')
        if (record.kind === 'entry') entries++
      }
      assert.ok(entries >= 20)
    })
  })
})
