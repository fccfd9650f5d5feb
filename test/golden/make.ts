// Writes the golden files of the current format: `node build/test/golden/make.js`. They are made once
// for each format version: those of state machines have one of their own. A difference in them is a change of the format, which needs a new version.

import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { dump, readFolder } from './dump.ts'
import { MACHINE_SPECIMENS } from './machine-specimens.ts'
import { readMachine } from './plain-machine.ts'
import { readPlainly } from './plain-reader.ts'
import { FOLDER, SPECIMENS } from './specimens.ts'

const folder = fileURLToPath(new URL('../../../test/golden/v1/', import.meta.url))
const machines = fileURLToPath(new URL('../../../test/golden/v2/', import.meta.url))
for (const each of [folder, machines]) mkdirSync(each, { recursive: true })
for (const [name, make] of Object.entries(SPECIMENS)) {
  const { files, contents } = await make()
  writeFileSync(`${folder}${name}.txt`, dump(readFolder(files, FOLDER)))
  writeFileSync(`${folder}${name}.json`, `${JSON.stringify(contents, undefined, 2)}\n`)
  process.stdout.write(`${folder}${name}.txt, ${contents.entries.length} entries\n`)
}
for (const [name, make] of Object.entries(MACHINE_SPECIMENS)) {
  const { files, folder: log } = await make()
  const contents = readFolder(files, log)
  writeFileSync(`${name === 'partitions' ? folder : machines}machine-${name}.txt`, dump(contents))
  if (name === 'partitions') continue
  const found = readMachine(readPlainly(contents), name === 'map')
  writeFileSync(`${machines}machine-${name}.json`, `${JSON.stringify(found, undefined, 2)}\n`)
}
