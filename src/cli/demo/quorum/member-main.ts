// One member of the demo's quorum, a process of its own. It is told what to do, and answers, over the channel of IPC.

import { TidemarkError } from '../../../base/index.ts'
import type { LogStatus } from '../../../quorum/index.ts'
import { Member, type ReplicatedLog } from '../../../quorum/index.ts'

/** The first word of the command line, as JSON. */
export interface MemberStart {
  readonly id: number
  readonly dir: string
  readonly peers: Readonly<Record<number, string>>
  readonly timeoutMs: number
}

/** Each is answered with its number. Text is bytes as Latin-1. */
export type Order =
  | { readonly order: 'append'; readonly number: number; readonly text: string }
  | { readonly order: 'status'; readonly number: number }
  | { readonly order: 'barrier'; readonly number: number }
  | { readonly order: 'stop'; readonly number: number }

export type Answer =
  | { readonly number: number; readonly result: unknown }
  | { readonly number: number; readonly code: string; readonly message: string }

export type Notice =
  | { readonly notice: 'listening'; readonly address: string }
  | { readonly notice: 'ready' }
  | { readonly notice: 'leader'; readonly term: number; readonly leader: number | undefined }
  | { readonly notice: 'failed'; readonly text: string }

const LOG = 'demo'

function say(message: Answer | Notice, onSaid: () => void = () => {}): void {
  // Whoever does not listen any more has gone; so does this process then.
  if (process.connected) process.send!(message, undefined, undefined, onSaid)
}

async function perform(member: Member, log: ReplicatedLog, order: Order): Promise<unknown> {
  switch (order.order) {
    case 'append':
      return log.append(Buffer.from(order.text, 'latin1'))
    case 'status':
      return log.status() satisfies LogStatus
    case 'barrier':
      return log.barrier()
    case 'stop':
      return member.close()
  }
}

async function main(start: MemberStart): Promise<void> {
  // Ctrl-C goes to all processes of a terminal; when it is time to end, the parent says so, or is gone.
  process.on('SIGINT', () => {})
  process.on('disconnect', () => process.exit())
  const member = await Member.start({ ...start, cluster: 'demo', listen: '127.0.0.1:0' })
  member.on('leader', ({ log, term, leader }) => {
    if (log === LOG) say({ notice: 'leader', term, leader })
  })
  member.on('failed', ({ log, error }) => {
    say({ notice: 'failed', text: `${log}: ${error instanceof Error ? error.stack : error}` })
  })
  say({ notice: 'listening', address: member.address })
  const log = await member.log(LOG)
  process.on('message', (order: Order) => {
    const { number } = order
    perform(member, log, order).then(
      (result) =>
        say({ number, result }, order.order === 'stop' ? () => process.exit() : undefined),
      (error: unknown) => {
        const code = error instanceof TidemarkError ? error.code : 'BUG'
        const message = error instanceof Error ? error.message : String(error)
        say({ number, code, message })
      },
    )
  })
  say({ notice: 'ready' })
}

await main(JSON.parse(process.argv[2]!) as MemberStart)
