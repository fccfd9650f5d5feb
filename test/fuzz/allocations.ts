// Refuses to allocate more than a limit in one piece. A decoder that believes a length which it has not
// checked against the size of the file would ask for gigabytes.

/** Largest piece by default: what a scan and a snapshot take whatever the size of the file is. */
const CHUNK_BYTES = 1024 * 1024 + 64 * 1024

class AllocationRefused extends Error {
  constructor(what: string, bytes: number, limit: number) {
    super(`${what} of ${bytes} bytes, where ${limit} are plenty`)
    this.name = 'AllocationRefused'
  }
}

export interface AllocationGuard {
  /** From now on so many bytes of files are there to be read. */
  allow(fileBytes: number): void
  /** The first allocation that was refused, even if the refusal was caught. */
  readonly refused: Error | undefined
  reset(): void
  /** Lets everything be allocated again. */
  release(): void
}

type ArrayName = 'Uint8Array' | 'Uint32Array' | 'Float64Array'

/** Puts the guard before every way in which the library makes buffers, until it is released. */
export function guardAllocations(): AllocationGuard {
  let limit = CHUNK_BYTES
  let refused: Error | undefined
  const check = (what: string, bytes: number) => {
    if (bytes <= limit) return
    const error = new AllocationRefused(what, bytes, limit)
    refused ??= error
    throw error
  }
  const releases = (['Uint8Array', 'Uint32Array', 'Float64Array'] as const).map((name) =>
    guardConstructor(name, check),
  )
  const { alloc, allocUnsafe, allocUnsafeSlow } = Buffer
  Object.assign(Buffer, {
    alloc(size: number, fill?: number) {
      check('Buffer.alloc', size)
      return alloc(size, fill)
    },
    allocUnsafe(size: number) {
      check('Buffer.allocUnsafe', size)
      return allocUnsafe(size)
    },
    allocUnsafeSlow(size: number) {
      check('Buffer.allocUnsafeSlow', size)
      return allocUnsafeSlow(size)
    },
  })
  return {
    allow(fileBytes) {
      limit = CHUNK_BYTES + 2 * fileBytes
    },
    get refused() {
      return refused
    },
    reset() {
      limit = CHUNK_BYTES
      refused = undefined
    },
    release() {
      for (const release of releases) release()
      Object.assign(Buffer, { alloc, allocUnsafe, allocUnsafeSlow })
    },
  }
}

function guardConstructor(name: ArrayName, check: (what: string, bytes: number) => void) {
  const original = globalThis[name] as Uint8ArrayConstructor
  const guarded: Uint8ArrayConstructor = new Proxy(original, {
    construct(target, args: [unknown, ...unknown[]], newTarget): object {
      if (typeof args[0] === 'number') check(name, args[0] * target.BYTES_PER_ELEMENT)
      return Reflect.construct(target, args, newTarget === guarded ? target : newTarget)
    },
  })
  Object.assign(globalThis, { [name]: guarded })
  return () => {
    Object.assign(globalThis, { [name]: original })
  }
}
