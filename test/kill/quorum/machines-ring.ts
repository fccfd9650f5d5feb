// Many state machines on one trio, whose members are stopped and started again in turn while clients execute.
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from './clients.js'
import { Members } from './members.js'
import { MemberError } from './process-handle.js'
import { machineFaults } from './verdict.js'

export interface MachinesRingOptions {
  readonly build: URL
  readonly folder: string
  readonly machines: number
  /** How often each member is restarted. */
  readonly rounds: number
  readonly onStep?: (step: string) => void
}

export interface MachinesRingResult {
  readonly requests: number
  /** Requests that were asked again, each time counted. */
  readonly retries: number
  readonly restarts: number
  readonly codes: Readonly<Record<string, number>>
  readonly faults: readonly string[]
}

const CLIENTS_PER_MACHINE = 1
const SETTLED_MS = 2000
const AGAIN_MS = 20
const PAUSE_MS = 50
const NO_SNAPSHOT = 1e6

/** A session of one machine, whose requests go to one member after the other. */
class SessionClient {
  readonly commands: Command[] = []
  retries = 0
  readonly codes: Record<string, number> = {}
  readonly #members: Members
  readonly #machine: number
  readonly #name: string

  constructor(members: Members, machine: number, number: number) {
    this.#members = members
    this.#machine = machine
    this.#name = `${machine}-${number}`
  }

  async run(isOver: () => boolean): Promise<void> {
    const machine = this.#machine
    const session = await this.#insist(machine, (at) =>
      this.#members.all[at]!.ask('openSession', { machine }),
    )
    for (let request = 1; !isOver(); request++) {
      const command = `${this.#name}-${request}`
      const asked = { machine, command, session, request }
      const result = await this.#insist(machine + request, (at) =>
        this.#members.all[at]!.ask('execute', asked),
      )
      this.commands.push({ name: command, result })
      await delay(PAUSE_MS)
    }
  }

  /** Asks one member after the other until one answers. */
  async #insist<T>(first: number, ask: (at: number) => Promise<T>): Promise<T> {
    for (let at = first; ; at++) {
      try {
        return await ask(at % this.#members.all.length)
      } catch (error) {
        if (!(error instanceof MemberError)) throw error
        this.codes[error.code] = (this.codes[error.code] ?? 0) + 1
        this.retries++
        await delay(AGAIN_MS)
      }
    }
  }
}

export async function machinesRing(options: MachinesRingOptions): Promise<MachinesRingResult> {
  const { build, folder, machines, rounds, onStep } = options
  const members = await Members.start(build, folder, machines, NO_SNAPSHOT)
  try {
    onStep?.(`three members with ${machines} machines are up`)
    const clients = Array.from({ length: machines * CLIENTS_PER_MACHINE }, (_, i) => {
      return new SessionClient(members, i % machines, i)
    })
    let isOver = false
    const running = Promise.all(clients.map((client) => client.run(() => isOver)))
    const restarts = await restartInTurn(members, rounds, onStep)
    isOver = true
    await running
    return { ...(await resultOf(members, machines, clients)), restarts }
  } finally {
    await members.stop()
  }
}

async function restartInTurn(
  members: Members,
  rounds: number,
  onStep: MachinesRingOptions['onStep'],
): Promise<number> {
  let restarts = 0
  for (let round = 0; round < rounds; round++) {
    for (const member of members.all) {
      await delay(SETTLED_MS)
      const begun = performance.now()
      await member.end('SIGTERM')
      const stopped = performance.now()
      await member.start()
      restarts++
      const up = performance.now()
      onStep?.(
        `member ${member.id} was stopped in ${(stopped - begun).toFixed(0)} ms, and up again ${(up - stopped).toFixed(0)} ms later`,
      )
    }
  }
  await delay(SETTLED_MS)
  return restarts
}

async function resultOf(members: Members, machines: number, clients: readonly SessionClient[]) {
  const faults = members.all.flatMap(({ fault }) => fault ?? [])
  const codes: Record<string, number> = {}
  for (const client of clients) {
    for (const [code, count] of Object.entries(client.codes))
      codes[code] = (codes[code] ?? 0) + count
  }
  let requests = 0
  for (let machine = 0; machine < machines; machine++) {
    const states = await Promise.all(members.all.map((member) => member.ask('state', { machine })))
    const commands = clients.flatMap((client, i) =>
      i % machines === machine ? client.commands : [],
    )
    requests += commands.length
    for (const fault of machineFaults(states, commands)) faults.push(`${machine}: ${fault}`)
    if (states[0]!.count !== commands.length) {
      faults.push(`${machine}: ${commands.length} requests, but ${states[0]!.count} executed`)
    }
  }
  const retries = clients.reduce((sum, one) => sum + one.retries, 0)
  return { requests, retries, codes, faults }
}
