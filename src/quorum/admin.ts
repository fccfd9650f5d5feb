import { TidemarkError } from '../base/index.ts'
import { type AdminCommand, CHANGE_NOTHING, decodeCommand, encodeReply } from './admin-command.ts'
import type { ReplicaId } from './core/index.ts'
import type { LogTransfer } from './log-transfer.ts'
import type { Body, Handler } from './requests.ts'

/** What an operator can do to a member. */
export interface AdminFace {
  status(): unknown
  transfer(log: string, to: ReplicaId): Promise<void>
  addMember(id: ReplicaId, address: string): Promise<unknown>
  removeMember(id: ReplicaId): Promise<unknown>
  deleteLog(name: string): Promise<void>
  scrub(options: { readonly log?: string | undefined }): Promise<unknown>
}

/** Answers operators. Whatever they say, the answer is a result or an error: the connection goes on. */
export function answerAdmin(face: AdminFace, transfer?: LogTransfer): Handler {
  return async (_from, { head, data }) => {
    let command: AdminCommand | undefined
    try {
      command = decodeCommand(head)
      const moved = await move(transfer, command, data)
      return moved ?? { head: encodeReply({ ok: await perform(face, command) }), data: [] }
    } catch (error) {
      return { head: encodeReply({ error: command ? closed(error, command) : error }), data: [] }
    }
  }
}

/** A member that closes does not know any more what becomes of what it was asked; CLOSED would be the client itself. */
function closed(error: unknown, { do: what }: AdminCommand): unknown {
  if (!(error instanceof TidemarkError) || error.code !== 'CLOSED') return error
  if (CHANGE_NOTHING.has(what)) return new TidemarkError('UNAVAILABLE', error.message)
  return new TidemarkError('UNCERTAIN', `${error.message}: ${what} may be done or not`)
}

/** Entries go one way or the other; undefined of other commands. */
async function move(
  transfer: LogTransfer | undefined,
  command: AdminCommand,
  data: Buffer,
): Promise<Body | undefined> {
  switch (command.do) {
    case 'read': {
      const read = await transfer?.read(command)
      return read && { head: encodeReply({ ok: read.ok }), data: read.data }
    }
    case 'imported':
      return { head: encodeReply({ ok: await transfer?.imported(command) }), data: [] }
    case 'import':
      return { head: encodeReply({ ok: await transfer?.import(command, data) }), data: [] }
    default:
      return undefined
  }
}

async function perform(face: AdminFace, command: AdminCommand): Promise<unknown> {
  switch (command.do) {
    case 'status':
      return face.status()
    case 'transfer':
      return face.transfer(command.log, command.to)
    case 'add':
      return face.addMember(command.id, command.address)
    case 'remove':
      return face.removeMember(command.id)
    case 'delete':
      return face.deleteLog(command.log)
    case 'scrub': {
      const { log } = command
      return face.scrub(log === undefined ? {} : { log })
    }
    default:
      throw new TidemarkError('UNAVAILABLE', 'entries are not to be had here')
  }
}
