import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Log, TidemarkError } from 'tidemark'
import { cloneAll, crashImage, errnoError, ForgetfulFiles, seededRandom } from 'tidemark/testing'
import { type HardState, membersOf } from '#dist/quorum/core/index.js'
import { HardStates } from '#dist/quorum/hard-states.js'
import {
  decodeMembers,
  decodeReceipt,
  encodeMembers,
  encodeReceipt,
} from '#dist/quorum/wire/index.js'

const JOINT = { ...membersOf([1, 2, 300], [70_000]), outgoing: [1, 2, 3] }
/** As docs/format.md has it. */
const GOLDEN =
  '0100030003000100' + '01000000020000002c010000' + '010000000200000003000000' + '70110100'

describe('the data of a change of members', () => {
  it('is the same byte for byte', () => {
    assert.equal(encodeMembers(JOINT).toString('hex'), GOLDEN)
    assert.deepEqual(decodeMembers(Buffer.from(GOLDEN, 'hex')), JOINT)
  })

  it('with other bytes is other members, or CORRUPT', () => {
    const random = seededRandom(1)
    const bytes = Buffer.from(GOLDEN, 'hex')
    for (let i = 0; i < 20_000; i++) {
      const end = random.uint32() % (bytes.length + 4)
      const changed = Buffer.concat([bytes, Buffer.alloc(4)]).subarray(0, end)
      if (end > 0) changed[random.uint32() % end]! ^= 1 << (random.uint32() % 8)
      try {
        assert.deepEqual(encodeMembers(decodeMembers(changed)), Buffer.from(changed))
      } catch (error) {
        assert(error instanceof TidemarkError && error.code === 'CORRUPT', String(error))
      }
    }
  })
})

describe('the data of a receipt', () => {
  const receipt = { session: 70_000, request: 2 ** 47 }
  /** As docs/format.md has it. */
  const golden = '0100' + '701101000000' + '000000000080'

  it('is the same byte for byte', () => {
    assert.equal(encodeReceipt(receipt).toString('hex'), golden)
    assert.deepEqual(decodeReceipt(Buffer.from(golden, 'hex')), receipt)
    assert.throws(() => encodeReceipt({ ...receipt, request: 2 ** 48 }), { name: 'InvariantError' })
  })

  it('with other bytes is another, or CORRUPT', () => {
    const random = seededRandom(1)
    const bytes = Buffer.concat([Buffer.from(golden, 'hex'), Buffer.alloc(2)])
    for (let i = 0; i < 20_000; i++) {
      const changed = Buffer.from(bytes.subarray(0, 12 + (random.uint32() % 5)))
      changed[random.uint32() % changed.length]! ^= 1 << (random.uint32() % 8)
      try {
        assert.deepEqual(encodeReceipt(decodeReceipt(changed)), changed)
      } catch (error) {
        assert(error instanceof TidemarkError && error.code === 'CORRUPT', String(error))
      }
    }
  })
})

function hardOf(term: number): HardState {
  const configurations = [{ point: { term: 0, mark: 0 }, members: membersOf([1, 2, 3]) }]
  return { term, vote: 2, promised: { term, mark: 7 }, configurations }
}

describe('hard states', () => {
  it('are the latest of each log, also after many, a crash and a kill', async () => {
    const files = new ForgetfulFiles()
    const states = await HardStates.open('/hard', { files })
    await states.save('other', hardOf(1))
    for (let term = 1; term <= 1100; term++) await states.save('orders', hardOf(term))
    for (const left of [cloneAll(files), crashImage(files, seededRandom(1)).files]) {
      const again = await HardStates.open('/hard', { files: left })
      assert.deepEqual(again.get('orders'), hardOf(1100))
      assert.deepEqual(again.get('other'), hardOf(1))
      assert.equal(again.get('nobody'), undefined)
      await again.close()
    }
    await states.close()
    const log = await Log.open('/hard', { files, mode: 'read' })
    assert(log.lowWaterMark > 500, 'what is out of date is forgotten')
    await log.close()
  })

  it('that are none refuse to open', async () => {
    for (const text of [
      'no JSON',
      '{}',
      '{"log":"a","hard":{"term":1,"vote":0}}',
      '{"log":"a","hard":{"term":-1,"vote":0,"configurations":[]}}',
      '{"log":"a","hard":{"term":1,"vote":0,"configurations":[{"point":{"term":0,"mark":0}}]}}',
      '{"log":"a","hard":{"term":1,"vote":0,"promised":{"term":1},"configurations":[]}}',
    ]) {
      const files = new ForgetfulFiles()
      const log = await Log.open('/hard', { files })
      await log.append(text)
      await log.close()
      await assert.rejects(HardStates.open('/hard', { files }), { code: 'CORRUPT' })
    }
  })

  it('reject when the disk fails or is full', async () => {
    for (const [kind, errno, code] of [
      ['datasync', 'EIO', 'POISONED'],
      ['write', 'ENOSPC', 'IO'],
    ] as const) {
      const files = new ForgetfulFiles()
      const states = await HardStates.open('/hard', { files })
      await states.save('orders', hardOf(1))
      files.fault = (op) => (op.kind === kind ? errnoError(errno, kind, op.path) : undefined)
      await assert.rejects(states.save('orders', hardOf(2)), { code })
      files.fault = undefined
      await states.close()
    }
  })
})
