import { TidemarkError } from '../base/index.ts'
import {
  type CursorStore,
  checkNames,
  cursorStart,
  SharedCursor,
  type SharedCursorLog,
  type SharedCursorOptions,
} from '../log/index.ts'
import type { Call } from './brokers.ts'
import { Coordinator } from './coordinator.ts'
import type { Partition } from './partition.ts'
import { checkAnswer, Refusal } from './refusals.ts'
import { answered } from './topic-facts.ts'

const GROUP_NAME = /^[\w.-]{1,249}$/
/** Of whoever is no member of the group (KIP-9: "simple consumers"). */
const NO_GENERATION = -1
const NO_EPOCH = -1

/** Throws INVALID_ARGUMENT. */
export function checkCursorOptions(name: unknown, options: object): void {
  checkNames(options, ['from', 'follow', 'signal'], 'cursor options')
  if (typeof name === 'string' && GROUP_NAME.test(name)) return
  throw new TidemarkError(
    'INVALID_ARGUMENT',
    `the name of a cursor has 1 to 249 of letters, digits, ".", "_" and "-"; ${JSON.stringify(name)} is not one`,
  )
}

/** Opens a cursor where its group has it, or where `options.from` says if the group has nothing of this partition. */
export async function openCursor<T>(
  log: SharedCursorLog<T> & { barrier(): Promise<void> },
  partition: Partition,
  name: string,
  options: SharedCursorOptions,
): Promise<SharedCursor<T>> {
  const store = new GroupOffset(partition, name)
  // A start at the end is at the end for everybody.
  await log.barrier()
  let position = await store.read()
  if (position === undefined) {
    position = cursorStart(log, options.from ?? 'start')
    await store.move('reset', position)
  }
  return new SharedCursor<T>(name, log, store, position, options)
}

/** The offset that a consumer group has committed for one partition. */
class GroupOffset implements CursorStore {
  readonly #partition: Partition
  readonly #group: string
  readonly #coordinator: Coordinator

  constructor(partition: Partition, group: string) {
    this.#partition = partition
    this.#group = group
    this.#coordinator = new Coordinator(partition, 'group', group)
  }

  /** Undefined if the group has none, or had it for so long that the brokers have forgotten it. */
  read(): Promise<number | undefined> {
    const { client, topic, index } = this.#partition
    return this.#ask('read', async (connection) => {
      const topics = [{ name: topic, partitionIndexes: [index] }]
      const group = { groupId: this.#group, memberEpoch: NO_GENERATION, topics }
      const answer = await answered(client.offsetFetchV8.api.async(connection, [group], true))
      const own = answer.groups[0]!
      checkAnswer(client, own.errorCode)
      const found = own.topics[0]?.partitions[0]
      if (!found) return undefined
      checkAnswer(client, found.errorCode)
      return found.committedOffset < 0n ? undefined : Number(found.committedOffset)
    })
  }

  move(_kind: 'commit' | 'reset', position: number): Promise<number> {
    const { client, topic, index } = this.#partition
    return this.#ask('move', async (connection) => {
      const committed = {
        partitionIndex: index,
        committedOffset: BigInt(position),
        committedLeaderEpoch: NO_EPOCH,
        committedMetadata: '',
      }
      const answer = await answered(
        client.offsetCommitV8.api.async(connection, this.#group, NO_GENERATION, '', null, [
          { name: topic, partitions: [committed] },
        ]),
      )
      checkAnswer(client, answer.topics[0]!.partitions[0]!.errorCode)
      return position
    })
  }

  async delete(): Promise<void> {
    const { client, topic, index } = this.#partition
    await this.#ask('delete', async (connection) => {
      const partitions = [{ partitionIndex: index }]
      const answer = await answered(
        client.offsetDeleteV0.api.async(connection, this.#group, [{ name: topic, partitions }]),
      )
      try {
        checkAnswer(client, answer.errorCode)
      } catch (error) {
        if (error instanceof Refusal && error.id === 'GROUP_ID_NOT_FOUND') return
        throw error
      }
    })
  }

  async #ask<R>(what: string, call: Call<R>): Promise<R> {
    const doing = `${what} the cursor ${this.#group} of ${this.#partition.name}`
    try {
      return await this.#coordinator.ask(doing, call)
    } catch (error) {
      if (!isInUse(error)) throw error
      const problem = `cannot ${doing}: the group has members of its own`
      throw new TidemarkError('INVALID_ARGUMENT', problem, {}, error)
    }
  }
}

function isInUse(error: unknown): boolean {
  const cause = error instanceof TidemarkError ? error.cause : undefined
  const ids = ['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'GROUP_SUBSCRIBED_TO_TOPIC']
  return cause instanceof Refusal && ids.includes(cause.id)
}
