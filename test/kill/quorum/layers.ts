export interface Layers {
  readonly quorum: typeof import('tidemark/quorum')
  readonly machines: typeof import('tidemark/machine')
}

/** What a process runs, of the build in that folder: with a bug in it, if one was planted there. */
export async function layersOf(build: string): Promise<Layers> {
  const [quorum, machines] = await Promise.all([
    import(new URL('quorum/index.js', build).href),
    import(new URL('machine/index.js', build).href),
  ])
  return { quorum, machines }
}
