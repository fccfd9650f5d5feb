// A log in a worker thread. The tests of threads start this file as one, and tell it what to do.
import { once } from 'node:events'
import { parentPort, Worker } from 'node:worker_threads'
import { Log, type LogOptions, TidemarkError, text } from 'tidemark'

type TextLog = Log<string, string>

/** What a thread can be asked. */
export type Request =
  | { readonly action: 'open'; readonly folder: string; readonly options?: LogOptions }
  /** Appends these at the same time. */
  | { readonly action: 'append'; readonly texts: readonly string[] }
  /** Appends numbered texts for ever, a few at a time, and tells of each that is acknowledged. */
  | { readonly action: 'flood' }
  /** Reads, and waits for more, until there were so many. */
  | { readonly action: 'follow'; readonly count: number }
  | { readonly action: 'close' }

/** What came of it: offsets or texts, or the error's code. */
export interface Reply {
  readonly code?: string
  readonly pid?: number | undefined
  readonly offsets?: readonly number[]
  readonly texts?: readonly string[]
}

const APPENDS_AT_ONCE = 8

async function follow(log: TextLog, count: number): Promise<Reply> {
  const texts: string[] = []
  for await (const { data } of log.read({ follow: true })) {
    texts.push(data)
    if (texts.length === count) break
  }
  return { texts }
}

async function flood(log: TextLog): Promise<never> {
  for (let i = 0; ; i += APPENDS_AT_ONCE) {
    const texts = Array.from({ length: APPENDS_AT_ONCE }, (_, k) => `entry ${i + k}`)
    const offsets = await Promise.all(texts.map((data) => log.append(data)))
    parentPort!.postMessage({ offsets } satisfies Reply)
  }
}

let log: TextLog

async function answer(request: Request): Promise<Reply> {
  switch (request.action) {
    case 'open':
      log = await Log.open(request.folder, { ...request.options, codec: text })
      return {}
    case 'append':
      return { offsets: await Promise.all(request.texts.map((data) => log.append(data))) }
    case 'follow':
      return follow(log, request.count)
    case 'flood':
      return flood(log)
    case 'close':
      await log.close()
      return {}
  }
}

parentPort?.on('message', (request: Request) => {
  answer(request).then(
    (reply) => parentPort!.postMessage(reply),
    (error: unknown) => {
      if (!(error instanceof TidemarkError)) throw error
      parentPort!.postMessage({ code: error.code, pid: error.details.pid } satisfies Reply)
    },
  )
})

/** Such a thread, as the tests hold it. */
export class LogThread {
  readonly worker: Worker

  constructor(env: NodeJS.ProcessEnv = process.env) {
    // Without the flags of the process, which may say how to read a program given as text.
    this.worker = new Worker(new URL(import.meta.url), { env, execArgv: [] })
  }

  async ask(request: Request): Promise<Reply> {
    this.worker.postMessage(request)
    return this.reply()
  }

  async reply(): Promise<Reply> {
    const [reply] = (await once(this.worker, 'message')) as [Reply]
    return reply
  }

  async end(): Promise<void> {
    await this.worker.terminate()
  }
}
