import { setTimeout as delay } from 'node:timers/promises'
import type { Arguments } from '../arguments.ts'
import { type Context, EXIT_DONE } from '../command.ts'
import type { Output } from '../output.ts'
import { Asking, isUnavailable } from './asking.ts'
import { tablesOf } from './tables.ts'
import { type ClusterView, look } from './view.ts'

const EVERY_MS = 1000

/** Once, or every second until nobody looks any more. */
export async function status(args: Arguments, context: Context): Promise<number> {
  const { out, interrupted } = context
  const asking = new Asking(args, interrupted)
  try {
    const view = await look(asking)
    if (args.flag('watch')) await watch(view, asking, args.flag('json'), context)
    else if (args.flag('json')) out.line(JSON.stringify(view))
    else for (const line of tablesOf(view)) out.line(line)
    return EXIT_DONE
  } finally {
    await asking.close()
  }
}

/** Goes on where members go and come; a mistake, such as a wrong secret, ends it. */
async function watch(
  first: ClusterView,
  asking: Asking,
  isJson: boolean,
  { out, interrupted }: Context,
): Promise<void> {
  const stop = AbortSignal.any([interrupted, out.ended])
  const screen = new Redrawn(out)
  let view: ClusterView | undefined = first
  let problem = ''
  while (!stop.aborted) {
    if (isJson) out.line(JSON.stringify(view ?? { error: problem }))
    else screen.draw(view ? tablesOf(view) : [problem])
    await out.room(stop)
    await delay(EVERY_MS, undefined, { signal: stop }).catch(() => {})
    if (stop.aborted) return
    try {
      view = await look(asking)
    } catch (error) {
      if (!isUnavailable(error)) throw error
      view = undefined
      problem = error.message
    }
  }
}

/** Lines that take the place of those before, on a terminal; behind them anywhere else. */
class Redrawn {
  readonly #out: Output
  #drawn = 0

  constructor(out: Output) {
    this.#out = out
  }

  draw(lines: readonly string[]): void {
    if (this.#out.isTerminal && this.#drawn > 0) this.#out.write(`\x1b[${this.#drawn}A\x1b[J`)
    const all = this.#out.isTerminal ? lines : [...lines, '']
    this.#out.write(`${all.join('\n')}\n`)
    this.#drawn = all.length
  }
}
