// What a durable map must do, written down plainly: the tests compare it with this.

export type Value = number | string

export type MapOperation =
  | { readonly kind: 'set'; readonly key: string; readonly value: Value; readonly ttlMs?: number }
  | { readonly kind: 'delete'; readonly key: string }
  | {
      readonly kind: 'compareAndSet'
      readonly key: string
      readonly expected: Value | undefined
      readonly next: Value | undefined
      readonly ttlMs?: number
    }
  | {
      readonly kind: 'setMany'
      readonly entries: readonly (readonly [string, Value])[]
      readonly ttlMs?: number
    }
  | { readonly kind: 'openSession' }

export interface RequestId {
  /** Its ordinal. */
  readonly session: number
  readonly request: number
}

/** An entry of the log. */
export interface MapEntry {
  readonly operation: MapOperation
  readonly timestamp: number
  readonly id?: RequestId | undefined
}

export interface SessionRules {
  readonly max: number
  readonly idleMs: number
  readonly requests: number
}

export type Answer = boolean | 'UNCERTAIN'

interface SessionModel {
  lastUsed: number
  forgotten: number
  answers: Map<number, Answer>
}

interface Item {
  readonly value: Value
  readonly end: number
}

/** The state after some entries. */
export class MapModel {
  readonly #rules: SessionRules
  #items = new Map<string, Item>()
  /** In the order of their last use. */
  #sessions = new Map<number, SessionModel>()
  /** Offset of the next entry. */
  next = 0
  /** Sessions that were opened so far: the ordinal of the newest. */
  opened = 0
  #logTime = 0
  /** The log time of the last command that was executed: a retried one does not move it. */
  #mapTime = 0

  constructor(rules: SessionRules) {
    this.#rules = rules
  }

  clone(): MapModel {
    const copy = new MapModel(this.#rules)
    copy.#items = new Map(this.#items)
    for (const [id, { lastUsed, forgotten, answers }] of this.#sessions) {
      copy.#sessions.set(id, { lastUsed, forgotten, answers: new Map(answers) })
    }
    copy.next = this.next
    copy.opened = this.opened
    copy.#logTime = this.#logTime
    copy.#mapTime = this.#mapTime
    return copy
  }

  get(key: string): Value | undefined {
    const item = this.#items.get(key)
    return item && item.end > this.#mapTime ? item.value : undefined
  }

  /** Everything that is there and not over, in the order of the keys. */
  entries(): [string, Value][] {
    return [...this.#items]
      .filter(([, { end }]) => end > this.#mapTime)
      .map(([key, { value }]): [string, Value] => [key, value])
      .sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** The answer that the session remembers; undefined if the request would be executed. */
  answer({ session, request }: RequestId): Answer | undefined {
    const known = this.#sessions.get(session)
    if (!known) return 'UNCERTAIN'
    return known.answers.get(request) ?? (request > known.forgotten ? undefined : 'UNCERTAIN')
  }

  apply({ operation, timestamp, id }: MapEntry): Answer {
    this.next++
    this.#logTime = Math.max(this.#logTime, timestamp)
    for (const [each, { lastUsed }] of this.#sessions) {
      if (this.#logTime - lastUsed > this.#rules.idleMs) this.#sessions.delete(each)
    }
    if (operation.kind === 'openSession') {
      this.#sessions.set(++this.opened, {
        lastUsed: this.#logTime,
        forgotten: 0,
        answers: new Map(),
      })
      const [idlest] = this.#sessions.keys()
      if (this.#sessions.size > this.#rules.max) this.#sessions.delete(idlest!)
      return true
    }
    const answer = (id && this.answer(id)) ?? this.#execute(operation)
    const session = id && this.#sessions.get(id.session)
    if (session) this.#use(id, session, answer)
    return answer
  }

  #use({ session: id, request }: RequestId, session: SessionModel, answer: Answer): void {
    session.lastUsed = this.#logTime
    this.#sessions.delete(id)
    this.#sessions.set(id, session)
    if (answer === 'UNCERTAIN') return
    session.answers.set(request, answer)
    if (session.answers.size <= this.#rules.requests) return
    const lowest = Math.min(...session.answers.keys())
    session.answers.delete(lowest)
    session.forgotten = Math.max(session.forgotten, lowest)
  }

  #execute(operation: Exclude<MapOperation, { kind: 'openSession' }>): boolean {
    this.#mapTime = this.#logTime
    switch (operation.kind) {
      case 'set':
        this.#put(operation.key, operation.value, operation.ttlMs)
        return true
      case 'setMany':
        for (const [key, value] of operation.entries) this.#put(key, value, operation.ttlMs)
        return true
      case 'delete': {
        const wasThere = this.get(operation.key) !== undefined
        this.#items.delete(operation.key)
        return wasThere
      }
      case 'compareAndSet':
        if (this.get(operation.key) !== operation.expected) return false
        this.#put(operation.key, operation.next, operation.ttlMs)
        return true
    }
  }

  #put(key: string, value: Value | undefined, ttlMs: number | undefined): void {
    if (value === undefined) this.#items.delete(key)
    else this.#items.set(key, { value, end: this.#mapTime + (ttlMs ?? Number.POSITIVE_INFINITY) })
  }
}

interface SomeMap {
  set(key: string, value: Value, options: object): Promise<void>
  delete(key: string, options: object): Promise<boolean>
  compareAndSet(
    key: string,
    expected: Value | undefined,
    next: Value | undefined,
    options: object,
  ): Promise<boolean>
  setMany(entries: Iterable<readonly [string, Value]>, options: object): Promise<void>
  openSession(): Promise<{ readonly id: string }>
}

/** Does it to the real map, and resolves with what the model answers. Rejects with what is not UNCERTAIN. */
export async function perform(
  map: SomeMap,
  operation: MapOperation,
  id?: RequestId,
): Promise<Answer> {
  const named = id && { session: `s${id.session}`, request: id.request }
  try {
    return await performed(map, operation, named ?? {})
  } catch (error) {
    if ((error as { code?: unknown }).code === 'UNCERTAIN') return 'UNCERTAIN'
    throw error
  }
}

function performed(map: SomeMap, operation: MapOperation, named: object): Promise<boolean> {
  const done = () => true
  switch (operation.kind) {
    case 'set': {
      const { key, value, ttlMs } = operation
      return map.set(key, value, { ...named, ttlMs }).then(done)
    }
    case 'setMany':
      return map.setMany(operation.entries, { ...named, ttlMs: operation.ttlMs }).then(done)
    case 'delete':
      return map.delete(operation.key, named)
    case 'compareAndSet': {
      const { key, expected, next, ttlMs } = operation
      return map.compareAndSet(key, expected, next, { ...named, ttlMs })
    }
    case 'openSession':
      return map.openSession().then(done)
  }
}
