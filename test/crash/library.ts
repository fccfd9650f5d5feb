// The library under test. The crash ring takes it as a value, so that it can be run against builds
// with a planted bug as well as against the real one.
import { pathToFileURL } from 'node:url'

export type Library = typeof import('tidemark') &
  typeof import('#dist/io/index.js') &
  typeof import('#dist/simulation/index.js') &
  typeof import('tidemark/machine')

/** Loads the build in `dist`, a folder laid out like the package's own. */
export async function loadLibrary(dist: URL): Promise<Library> {
  const [face, io, simulation, machine] = await Promise.all([
    import(new URL('index.js', dist).href),
    import(new URL('io/index.js', dist).href),
    import(new URL('simulation/index.js', dist).href),
    import(new URL('machine/index.js', dist).href),
  ])
  return { ...io, ...simulation, ...machine, ...face }
}

export const realBuild = new URL('../../../dist/', import.meta.url)

export function folderUrl(path: string): URL {
  return pathToFileURL(path.endsWith('/') ? path : `${path}/`)
}
