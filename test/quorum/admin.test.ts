import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TidemarkError } from 'tidemark'
import { seededRandom } from 'tidemark/testing'
import { type AdminFace, answerAdmin } from '#dist/quorum/admin.js'
import {
  type AdminCommand,
  decodeCommand,
  decodeReply,
  encodeCommand,
  encodeReply,
} from '#dist/quorum/admin-command.js'

function faceThatTells(told: unknown[]): AdminFace {
  return {
    status: () => ({ id: 1, leader: undefined }),
    transfer: async (...args) => void told.push(['transfer', ...args]),
    addMember: async (...args) => void told.push(['add', ...args]),
    removeMember: async (...args) => void told.push(['remove', ...args]),
    deleteLog: async (log) => {
      told.push(['delete', log])
    },
    scrub: async (...args) => {
      told.push(['scrub', ...args])
      return { entries: 7 }
    },
  }
}

/** What a member answers to these bytes. */
async function ask(face: AdminFace, bytes: Buffer): Promise<unknown> {
  const { head } = await answerAdmin(face)(2 ** 32, { head: bytes, data: Buffer.alloc(0) })
  return decodeReply(head)
}

describe('what an operator asks of a member', () => {
  it('is done, and answered', async () => {
    const told: unknown[] = []
    const face = faceThatTells(told)
    const results: unknown[] = []
    for (const command of [
      { do: 'status' },
      { do: 'add', id: 4, address: 'd.example:7000' },
      { do: 'remove', id: 2 },
      { do: 'transfer', log: 'orders', to: 3 },
      { do: 'scrub', log: 'orders' },
      { do: 'scrub' },
    ] as AdminCommand[]) {
      results.push(await ask(face, encodeCommand(command)))
    }
    assert.deepEqual(results, [{ id: 1 }, null, null, null, { entries: 7 }, { entries: 7 }])
    assert.deepEqual(told, [
      ['add', 4, 'd.example:7000'],
      ['remove', 2],
      ['transfer', 'orders', 3],
      ['scrub', { log: 'orders' }],
      ['scrub', {}],
    ])
  })

  it('is refused in words if it makes no sense', async () => {
    const told: unknown[] = []
    const face = faceThatTells(told)
    for (const [said, message] of [
      ['', /no JSON/],
      ['{"do":"status"', /no JSON/],
      ['null', /is an object/],
      ['[]', /no command undefined; there is status, add/],
      ['{"do":"explode"}', /no command "explode"; there is status, add/],
      ['{"do":"constructor"}', /no command "constructor"/],
      ['{"do":"status","of":"orders"}', /no field "of"/],
      ['{"do":"add","id":4}', /address of the member is not host:port/],
      ['{"do":"add","id":4,"address":"d.example:0"}', /has no port/],
      ['{"do":"add","id":"4","address":"d.example:7"}', /a number from 1 to 4294967295, not "4"/],
      ['{"do":"remove","id":4294967296}', /a number from 1/],
      ['{"do":"transfer","log":"../x","to":1}', /the name of a log/],
      ['{"do":"scrub","log":7}', /the name of a log/],
      [`{"do":"status","x":"${'x'.repeat(2 ** 20)}"}`, /a command of 1048\d+ bytes/],
    ] as const) {
      const asked = ask(face, Buffer.from(said))
      await assert.rejects(asked, { name: 'TidemarkError', code: 'INVALID_ARGUMENT', message })
    }
    assert.deepEqual(told, [])
    const wrong = { do: 'remove', id: 0 } as const
    assert.throws(() => encodeCommand(wrong), { code: 'INVALID_ARGUMENT' })
  })

  it('fails with the error that it has failed with there', async () => {
    const command = encodeCommand({ do: 'transfer', log: 'orders', to: 3 })
    for (const [thrown, code, message] of [
      [new TidemarkError('NOT_FOUND', 'there is no log "orders"'), 'NOT_FOUND', /^there is no log/],
      [
        new TidemarkError('CLOSED', 'the log is closed'),
        'UNCERTAIN',
        /^the log is closed: transfer may be/,
      ],
      [new Error('a bug'), 'UNCERTAIN', /^the member has failed: Error: a bug$/],
      ['no error', 'UNCERTAIN', /^the member has failed: no error$/],
    ] as const) {
      const transfer = async () => {
        throw thrown
      }
      const asked = ask({ ...faceThatTells([]), transfer }, command)
      await assert.rejects(asked, { code, message })
    }
    const large = { ...faceThatTells([]), status: () => 'x'.repeat(2 ** 23) }
    const much = ask(large, encodeCommand({ do: 'status' }))
    await assert.rejects(much, { code: 'TOO_LARGE' })
  })

  it('may be any bytes, and so may the answer', () => {
    const random = seededRandom(7)
    const command = encodeCommand({ do: 'add', id: 4, address: 'd.example:7000' })
    const reply = encodeReply({ error: new TidemarkError('NOT_FOUND', 'none') })
    for (let i = 0; i < 5000; i++) {
      for (const [bytes, decode] of [
        [command, decodeCommand],
        [reply, decodeReply],
      ] as const) {
        const changed = Buffer.from(bytes.subarray(0, random.uint32() % (bytes.length + 1)))
        if (changed.length > 0) changed[random.uint32() % changed.length] = random.uint32() & 0xff
        try {
          decode(changed)
        } catch (error) {
          assert(error instanceof TidemarkError, String(error))
        }
      }
    }
    const strange = Buffer.from('{"error":{"code":"NEW","message":"of a later version"}}')
    const message = 'NEW: of a later version'
    assert.throws(() => decodeReply(strange), { code: 'UNCERTAIN', message })
  })
})
