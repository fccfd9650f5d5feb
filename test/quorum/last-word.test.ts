import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { type HardState, membersOf } from '#dist/quorum/core/index.js'
import { HardStates } from '#dist/quorum/hard-states.js'
import { hasOnlyItsWord, lastWord } from '#dist/quorum/last-word.js'
import { Trio, until } from './members/trio.ts'

const configurations = [{ point: { term: 0, mark: 0 }, members: membersOf([1, 2, 3]) }]
const hard: HardState = { term: 7, vote: 2, promised: undefined, configurations }

/** Two members with a log each, one of which has left the first; its name. */
async function logsOfTwo(t: TestContext): Promise<{ trio: Trio; name: string }> {
  const trio = await Trio.start({}, 1)
  t.after(() => trio.stop())
  for (const name of ['a', 'b']) {
    const log = await trio.member(1).log(name, { replicas: 1 })
    for (let i = 0; i < 10; i++) await log.append(`${i}`)
    await log.close()
  }
  await trio.startJoiner(2)
  await trio.member(1).addMember(2, trio.peers[2]!)
  const here = () =>
    trio
      .member(1)
      .status()
      .logs.map(({ name }) => name)
  await until(() => here().length === 2, 'one log has left')
  const name = here().includes('a') ? 'b' : 'a'
  return { trio, name }
}

/** What member 1, which is stopped, has promised of a log. */
async function wordOf(trio: Trio, id: number): Promise<HardState | undefined> {
  const votes = await HardStates.open(join(trio.dir, '1', 'votes'))
  try {
    return votes.get(String(id))
  } finally {
    await votes.close()
  }
}

describe('the last word of a replica', () => {
  it('has its term, its vote and where its log had got to, and no members', () => {
    const word = lastWord(hard, { term: 6, mark: 40 })
    assert.deepEqual([word.term, word.vote, word.promised], [7, 2, { term: 6, mark: 40 }])
    assert.ok(hasOnlyItsWord(word))
    assert.ok(!hasOnlyItsWord(hard))
  })

  it('has what had been promised before, if the log has not got there', () => {
    const promised = { term: 6, mark: 50 }
    assert.deepEqual(lastWord({ ...hard, promised }, { term: 6, mark: 40 }).promised, promised)
    assert.deepEqual(lastWord({ ...hard, promised }, undefined).promised, promised)
    const later = { term: 7, mark: 10 }
    assert.deepEqual(lastWord({ ...hard, promised }, later).promised, later)
  })

  it('is nothing of one that never was', () => {
    const { term, vote, promised } = lastWord(undefined, { term: 0, mark: 0 })
    assert.deepEqual([term, vote, promised], [0, 0, undefined])
  })

  it('is kept by a member that a log has left, and the log may come back', async (t) => {
    const { trio, name } = await logsOfTwo(t)
    const moved = await trio.member(2).log(name)
    await moved.append('there')
    const { id } = moved.status()
    await trio.stopMember(1)
    const word = (await wordOf(trio, id))!
    assert.ok(hasOnlyItsWord(word))
    assert.ok(word.term > 0 && word.promised!.mark > 10)
    await trio.startMember(1)
    await trio.member(1).removeMember(2)
    await until(() => trio.member(1).members().length === 1, 'it is alone again')
    const back = await trio.member(1).log(name)
    await back.append('here')
    const texts: string[] = []
    for await (const { data } of back.read()) texts.push(data.toString())
    assert.deepEqual(texts.slice(9), ['9', 'there', 'here'])
  })

  it('goes when the log is deleted', async (t) => {
    const { trio, name } = await logsOfTwo(t)
    const { id } = (await trio.member(2).log(name)).status()
    await trio.member(1).deleteLog(name)
    await trio.stopMember(1)
    assert.equal(await wordOf(trio, id), undefined)
  })
})
