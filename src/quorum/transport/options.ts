import { TidemarkError } from '../../base/index.ts'
import {
  type Clock,
  type Network,
  parseAddress,
  type Random,
  type TlsCredentials,
} from '../../io/index.ts'
import type { Frame } from '../wire/index.ts'
import type { PeerIdentity } from './handshake.ts'
import { CLUSTER_BYTES_MAX, FOUNDERS_BYTES, INCARNATION_BYTES } from './hello.ts'
import type { Refusal } from './refusal.ts'
import type { RefusedEvent } from './refused-events.ts'

const ID_MAX = 2 ** 32 - 1

export interface TlsOptions extends TlsCredentials {
  /**
   * By member, what its certificate must be valid for; where it is not said, the host of its address. Of a member
   * whose address is not known either, any name will do: only the authority is checked.
   */
  readonly names?: Readonly<Record<number, string>>
}

export interface TransportOptions {
  /** This member: 1 to 2^32 - 1. */
  readonly id: number
  /** All members of a cluster say the same; 1 to 255 bytes. */
  readonly cluster: string
  /** 16 bytes, drawn when the folder of the member was made. */
  readonly incarnation: Uint8Array
  /** `host:port`; port 0 is any that is free. */
  readonly listen: string
  /**
   * A fingerprint of the members that the cluster was made with, 8 bytes. All zero: this member joins a cluster that
   * exists, and does not know it yet.
   */
  readonly founders: Uint8Array
  /** The other members at first, and where they listen. */
  readonly peers: ReadonlyMap<number, string>
  /** Both sides prove that they know it; it is never sent. Bytes on the wire are hidden by TLS only. */
  readonly secret?: string | undefined
  readonly tls?: TlsOptions | undefined
  readonly network?: Network | undefined
  readonly clock: Clock
  readonly random: Random
  /** Connections that say nothing for so long are given up. */
  readonly silenceMs: number
  /** Bytes that may wait for one peer; what comes beyond is dropped. A frame always goes if nothing waits. */
  readonly waitingBytesMax: number
  /** May throw: the connection is given up, as for garbage. The frame may be a view of a larger chunk. */
  readonly onFrame: (from: number, frame: Frame) => void
  /** Whether a member, which has proven who it is, is the one that was met under its number before; always by default. */
  readonly isSame?: ((peer: PeerIdentity) => boolean) | undefined
  /** Why a member, which has proven who it is, is not welcome. All are by default, also those that nobody has named. */
  readonly checkMember?: ((id: number) => Refusal | undefined) | undefined
  /** Of an operator, by the number that it was given here. May throw, as `onFrame`. Operators are refused without it. */
  readonly onOperatorFrame?: ((id: number, frame: Frame) => void) | undefined
  /** The peer can be sent to. A connection that replaces another comes after the other's `onDown`. */
  readonly onUp: (peer: PeerIdentity) => void
  readonly onDown: (id: number, why: string) => void
  /** Nobody listens where a peer that was up should be: its process is gone. */
  readonly onUnreachable: (id: number) => void
  readonly onRefused: (event: RefusedEvent) => void
}

/** Throws INVALID_ARGUMENT that names what is wrong. */
export function checkOptions(options: TransportOptions): void {
  const { id, cluster, incarnation, peers, silenceMs, waitingBytesMax } = options
  parseAddress(options.listen, 'listen')
  check(isId(id), `id is not 1 to ${ID_MAX}: ${id}`)
  const clusterBytes = Buffer.byteLength(cluster)
  check(
    clusterBytes >= 1 && clusterBytes <= CLUSTER_BYTES_MAX,
    `cluster has ${clusterBytes} bytes, not 1 to ${CLUSTER_BYTES_MAX}`,
  )
  check(incarnation.length === INCARNATION_BYTES, `an incarnation of ${incarnation.length} bytes`)
  check(silenceMs >= 1, `silenceMs is not 1 or more: ${silenceMs}`)
  check(waitingBytesMax >= 0, `waitingBytesMax is not 0 or more: ${waitingBytesMax}`)
  checkFounders(options.founders)
  for (const [peer, address] of peers) checkPeer(id, peer, address)
}

/** Throws INVALID_ARGUMENT. */
export function checkPeer(id: number, peer: number, address: string): void {
  check(isId(peer), `the id of a peer is not 1 to ${ID_MAX}: ${peer}`)
  check(peer !== id, `peers has member ${id} itself`)
  const { port } = parseAddress(address, `the address of member ${peer}`)
  check(port > 0, `the address of member ${peer} has no port: ${JSON.stringify(address)}`)
}

/** Throws INVALID_ARGUMENT. */
export function checkFounders(founders: Uint8Array): void {
  check(founders.length === FOUNDERS_BYTES, `founders of ${founders.length} bytes`)
}

function isId(id: number): boolean {
  return Number.isInteger(id) && id >= 1 && id <= ID_MAX
}

function check(condition: boolean, problem: string): void {
  if (!condition) throw new TidemarkError('INVALID_ARGUMENT', problem)
}
