import { type AdminCommand, decodeCommand, encodeReply } from './admin-command.ts'
import type { ReplicaId } from './core/index.ts'
import type { Handler } from './requests.ts'

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
export function answerAdmin(face: AdminFace): Handler {
  return async (_from, { head }) => {
    try {
      return { head: encodeReply({ ok: await perform(face, decodeCommand(head)) }), data: [] }
    } catch (error) {
      return { head: encodeReply({ error }), data: [] }
    }
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
  }
}
