// docs/format.md shows a log byte by byte. It is the log that is written today.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { Log } from 'tidemark'
import { DurableMap } from 'tidemark/machine'
import { ForgetfulFiles, ManualClock } from 'tidemark/testing'
import { crc32 } from '#dist/base/index.js'
import { hexLines, parseHexLines, readFolder } from './dump.ts'
import { readPlainly } from './plain-reader.ts'
import { exampleLog, FOLDER } from './specimens.ts'

const page = readFileSync(new URL('../../../docs/format.md', import.meta.url), 'utf8')

/** The bytes of the files that the page shows, by name. */
function shownFiles(sizeOf: (name: string) => number): Map<string, Uint8Array> {
  const shown = new Map<string, Uint8Array>()
  for (const [, name, block] of page.matchAll(/^```hex (\S+)\n([^`]+)^```$/gm)) {
    const bytes = new Uint8Array(sizeOf(name!)).fill(0xee)
    parseHexLines(block!.trimEnd().split('\n'), bytes)
    shown.set(name!, bytes)
  }
  return shown
}

it('the example is what is written, byte for byte', async () => {
  const { files, contents } = await exampleLog()
  const written = readFolder(files, FOLDER)
  const shown = shownFiles((name) => written.get(name)?.length ?? 0)
  assert.deepEqual([...shown.keys()].sort(), [...written.keys()].sort())
  for (const [name, bytes] of written) {
    assert.deepEqual(hexLines(shown.get(name)!), hexLines(bytes), name)
  }
  assert.deepEqual(readPlainly(shown), contents)
})

it('the checksums are those of the example', async () => {
  const written = readFolder((await exampleLog()).files, FOLDER)
  const store = written.get('00000000000000000000-b0ff58c7.store')!
  const snapshot = written.get('snapshots/00000000000000000003.snapshot')!
  const first = crc32(store, 64, 76, 0xb0ff58c7)
  const wanted: readonly [what: string, crc: number][] = [
    ['crc32("123456789")', crc32(Buffer.from('123456789'))],
    ['crc32("hello")', crc32(Buffer.from('hello'))],
    ['crc32(bytes 0 to 11 of the first entry', first],
    ['crc32(bytes 16 to 39 of that header', crc32(store, 80, 104, first)],
    ['crc32(05 00 00 00 "state"', crc32(snapshot, 32, 37, crc32(snapshot, 24, 28, 0x551928e9))],
  ]
  for (const [what, crc] of wanted) {
    const line = page.split('\n').find((each) => each.startsWith(what))
    assert.equal(line?.split(' ').at(-1), crc.toString(16).padStart(8, '0'), what)
  }
})

it('the example of a map is what is written, byte for byte', async () => {
  const log = await Log.open('/map', { files: new ForgetfulFiles(), clock: new ManualClock() })
  const map = await DurableMap.open<string, string>(log)
  await map.set('a', '1')
  await map.snapshot()
  const chunks: Uint8Array[] = []
  for await (const chunk of log.snapshots.read(1)) chunks.push(chunk)
  const written = { entry: (await log.get(0))!.data, snapshot: Buffer.concat(chunks) }
  await map.close()
  await log.close()
  for (const [name, bytes] of Object.entries(written)) {
    const [, block] = new RegExp(`^\`\`\`bytes ${name}\\n([^\`]+)^\`\`\`$`, 'm').exec(page)!
    const shown = new Uint8Array(bytes.length).fill(0xee)
    parseHexLines(block!.trimEnd().split('\n'), shown)
    assert.deepEqual(hexLines(shown), hexLines(bytes), name)
  }
})
