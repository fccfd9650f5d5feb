// The library under test. The crash ring takes it as a value, so that it can be run against builds
// with a planted bug as well as against the real one.
import { pathToFileURL } from 'node:url'
import type { Submissions } from '#dist/machine/submissions.js'

export type Library = typeof import('tidemark') &
  typeof import('#dist/io/index.js') &
  typeof import('#dist/simulation/index.js') &
  typeof import('tidemark/machine') & {
    /** How many commands were submitted to state machines of this build. */
    readonly submissions: { count: number }
  }

/** Loads the build in `dist`, a folder laid out like the package's own. */
export async function loadLibrary(dist: URL): Promise<Library> {
  const [face, io, simulation, machine, { Submissions }] = await Promise.all([
    import(new URL('index.js', dist).href),
    import(new URL('io/index.js', dist).href),
    import(new URL('simulation/index.js', dist).href),
    import(new URL('machine/index.js', dist).href),
    import(new URL('machine/submissions.js', dist).href),
  ])
  return { ...io, ...simulation, ...machine, ...face, submissions: counted(Submissions) }
}

const counters = new WeakMap<object, { count: number }>()

/** Counts the submissions of a build, of which there is one class, however often it is loaded. */
function counted({ prototype }: typeof Submissions): { count: number } {
  const known = counters.get(prototype)
  if (known) return known
  const counter = { count: 0 }
  const { submit } = prototype
  prototype.submit = function (...given) {
    counter.count++
    submit.apply(this, given)
  }
  counters.set(prototype, counter)
  return counter
}

export const realBuild = new URL('../../../dist/', import.meta.url)

export function folderUrl(path: string): URL {
  return pathToFileURL(path.endsWith('/') ? path : `${path}/`)
}
