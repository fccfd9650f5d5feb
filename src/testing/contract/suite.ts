import assert from 'node:assert/strict'
import { it } from 'node:test'
import { TidemarkError } from '../../base/index.ts'
import type { CommitLog, Entry, ReadOptions } from '../../log/index.ts'

const TIMEOUT_MS_DEFAULT = 30_000

/** A log of plain bytes, into which strings go as UTF-8. */
export type ContractLog = CommitLog<Buffer, Uint8Array | string>

/** What a log may lack: each is a group of tests that can be skipped. */
export type OptionalPart =
  /** Entries that span more than one offset. */
  | 'count'
  /** Types of the user's own, 128 to 255. */
  | 'types'
  | 'reverse'
  | 'fromTimestamp'
  | 'trim'
  | 'snapshots'
  /** Closing the log and opening it again. */
  | 'reopen'

/** Why a part is skipped; the reason is shown with each test of it. */
export type ContractSkips = { readonly [part in OptionalPart]?: string }

interface CommonOptions {
  /** What the tests are named after. */
  readonly name: string
  /** Opens a new, empty log. Called once for each test, which closes the log when it ends. */
  readonly open: () => Promise<ContractLog>
  /** The largest entry that the log takes, at least 1 MiB. One byte more must be TOO_LARGE. */
  readonly maxEntryBytes: number
  /** So long a test may take, in ms; 30 s by default. One that waits for what never comes fails then. */
  readonly timeoutMs?: number
}

interface Reopenable extends CommonOptions {
  /** Closes the log and opens the same one again. */
  readonly reopen: (log: ContractLog) => Promise<ContractLog>
  readonly skip?: ContractSkips & { readonly reopen?: never }
}

interface NotReopenable extends CommonOptions {
  readonly reopen?: never
  readonly skip: ContractSkips & { readonly reopen: string }
}

/** Without `reopen`, `skip.reopen` says why. */
export type ContractOptions = Reopenable | NotReopenable

/** Registers the tests of one contract, each with a log of its own. */
export class ContractSuite {
  readonly maxEntryBytes: number
  readonly #options: ContractOptions

  constructor(options: ContractOptions) {
    for (const [part, reason] of Object.entries(options.skip ?? {})) {
      if (typeof reason === 'string' && reason !== '') continue
      throw new TidemarkError('INVALID_ARGUMENT', `skipping ${part} needs a reason`)
    }
    this.maxEntryBytes = options.maxEntryBytes
    this.#options = options
  }

  /** A test that every log has to pass. */
  test(name: string, body: (log: ContractLog) => Promise<void>): void {
    this.#register(name, [], body)
  }

  /** A test that is skipped where the log lacks any of the parts. */
  testPart(
    parts: OptionalPart | readonly OptionalPart[],
    name: string,
    body: (log: ContractLog) => Promise<void>,
  ): void {
    this.#register(name, typeof parts === 'string' ? [parts] : parts, body)
  }

  #register(
    name: string,
    parts: readonly OptionalPart[],
    body: (log: ContractLog) => Promise<void>,
  ): void {
    const skips = this.#options.skip ?? {}
    const reason = parts.map((part) => skips[part]).find((each) => each !== undefined)
    const timeout = this.#options.timeoutMs ?? TIMEOUT_MS_DEFAULT
    it(name, { skip: reason ?? false, timeout }, async () => {
      const log = await this.#options.open()
      try {
        await body(log)
      } finally {
        await log.close()
      }
    })
  }

  /** Closes `log` and opens it again; `body` runs with the new one, which is then closed. */
  async reopened(log: ContractLog, body: (log: ContractLog) => Promise<void>): Promise<void> {
    const { reopen } = this.#options
    assert(reopen, 'a test that reopens the log belongs to the part `reopen`')
    const again = await reopen(log)
    try {
      await body(again)
    } finally {
      await again.close()
    }
  }
}

/** All entries that a read gives, after everything acknowledged has become visible here. */
export async function entriesOf(log: ContractLog, options?: ReadOptions): Promise<Entry[]> {
  await log.barrier()
  const entries: Entry[] = []
  for await (const entry of log.read(options)) entries.push(entry)
  return entries
}

/** The data of those entries as text. */
export async function textsOf(log: ContractLog, options?: ReadOptions): Promise<string[]> {
  return (await entriesOf(log, options)).map((entry) => entry.data.toString())
}

/** Appends the texts one after the other and returns their offsets. */
export async function appendEach(log: ContractLog, texts: readonly string[]): Promise<number[]> {
  const offsets: number[] = []
  for (const text of texts) offsets.push(await log.append(text))
  return offsets
}

/** `count` different short texts. */
export function someTexts(count: number, prefix = 'entry'): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix} ${i}`)
}

/** Checks that `action` throws, or rejects with, a TidemarkError of this code; returns the error. */
export async function assertCode(
  code: TidemarkError['code'],
  action: () => unknown,
): Promise<TidemarkError> {
  let caught: unknown
  await assert.rejects(
    async () => action(),
    (error) => {
      caught = error
      return true
    },
    `expected ${code}`,
  )
  assert(caught instanceof TidemarkError, `expected ${code}, not ${String(caught)}`)
  assert.equal(caught.code, code, caught.message)
  return caught
}

/** Bytes in which neighbours and far-away ones differ, the same for the same seed. */
export function patternBytes(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  let state = seed | 1
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    bytes[i] = state >>> 24
  }
  return bytes
}
