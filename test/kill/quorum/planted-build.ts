import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export const BUILD = new URL('../../../../dist/', import.meta.url)

/** A bug: other text in one file of the build. */
export interface BuildEdit {
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** A copy of the build with one of these bugs in it, in a folder. */
export function plant(
  bugs: Readonly<Record<string, BuildEdit>>,
  name: string,
  folder: string,
): URL {
  const bug = bugs[name]
  if (!bug) throw new Error(`there is no bug ${name}; there is ${Object.keys(bugs).join(', ')}`)
  const into = join(folder, 'build')
  cpSync(fileURLToPath(BUILD), into, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const path = join(into, bug.file)
  const text = readFileSync(path, 'utf8')
  if (text.split(bug.find).length !== 2) throw new Error(`${bug.file} does not have ${bug.find}`)
  writeFileSync(path, text.replace(bug.find, bug.replace))
  return pathToFileURL(`${into}/`)
}
