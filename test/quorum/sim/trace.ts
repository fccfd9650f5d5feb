// What has happened in a run, as a hash that says whether two runs were the same; and, if wanted, as lines.
import { createHash, type Hash } from 'node:crypto'
import type { Input, Output } from '#dist/quorum/core/index.js'

export class Trace {
  readonly lines: string[] = []
  readonly #keeps: boolean
  readonly #hash: Hash = createHash('sha256')
  #digest: string | undefined

  constructor(keepsLines: boolean) {
    this.#keeps = keepsLines
  }

  step(now: number, id: number, input: Input, output: Output): void {
    if (input.kind === 'tick' && !output.persist && output.messages.length === 0) return
    const line = `${now.toFixed(3)} ${id} ${formatInput(input)}${formatOutput(output)}`
    this.#hash.update(line)
    if (this.#keeps) this.lines.push(line)
  }

  /** Whatever else tells one run from another. */
  note(now: number, text: string): void {
    const line = `${now.toFixed(3)} ${text}`
    this.#hash.update(line)
    if (this.#keeps) this.lines.push(line)
  }

  /** The hash of all so far. It ends the trace. */
  digest(): string {
    this.#digest ??= this.#hash.digest('hex').slice(0, 16)
    return this.#digest
  }
}

function formatInput(input: Input): string {
  if (input.kind !== 'message')
    return input.kind === 'persisted' ? `persisted ${input.number}` : input.kind
  return `from ${input.from}: ${brief(input.message)}`
}

function formatOutput({ persist, messages, commit }: Output): string {
  let text = ''
  if (persist) {
    const { number, hard, truncate, reset, fill, batches, trim } = persist
    const ends = batches.map(({ term, end }) => `${term}/${end}`).join(' ')
    text += ` | persist ${number}${hard ? ` term ${hard.term} vote ${hard.vote}` : ''}`
    if (reset) text += ` reset ${reset.term}/${reset.mark}`
    if (fill) text += ` fill ${fill.hole.from}-${fill.hole.to}`
    if (truncate !== undefined) text += ` cut ${truncate}`
    if (ends) text += ` append ${ends}`
    if (trim !== undefined) text += ` trim ${trim}`
  }
  if (commit !== undefined) text += ` | commit ${commit}`
  for (const { to, message } of messages) text += ` | to ${to}: ${brief(message)}`
  return text
}

function brief(message: { readonly kind: string; readonly term: number }): string {
  const { kind, term, ...rest } = message as Record<string, unknown> & {
    kind: string
    term: number
  }
  const fields = Object.entries(rest).map(([name, value]) => {
    if (name === 'batches') {
      const ends = (value as readonly { term: number; end: number }[]).map(
        (b) => `${b.term}/${b.end}`,
      )
      return `batches ${ends.join(' ') || 'none'}`
    }
    return `${name} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`
  })
  return `${kind} term ${term} ${fields.join(' ')}`
}
