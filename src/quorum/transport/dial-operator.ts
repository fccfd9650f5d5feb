import type { Clock, Network, Random, TlsCredentials } from '../../io/index.ts'
import type { Frame } from '../wire/index.ts'
import { Handshake } from './handshake.ts'
import { ANYONE, FOUNDERS_BYTES, INCARNATION_BYTES, nonceOf, OPERATOR } from './hello.ts'
import { Link, type LinkEnd } from './link.ts'
import { tlsRefusal } from './tls-refusal.ts'

export interface OperatorOptions {
  readonly address: string
  readonly cluster: string
  readonly secret: string
  readonly tls: TlsCredentials | undefined
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  readonly silenceMs: number
  /** The member is there, and has let the operator in. */
  readonly onUp: (member: number) => void
  readonly onFrame: (frame: Frame) => void
  readonly onEnd: (end: LinkEnd) => void
  readonly onGone: () => void
}

/** Dials whatever member listens at an address, as one who is none. */
export function dialAsOperator(options: OperatorOptions): Link {
  const { address, cluster, secret, tls, network, clock, silenceMs, onGone } = options
  const handshake = new Handshake({
    id: OPERATOR,
    cluster,
    incarnation: new Uint8Array(INCARNATION_BYTES),
    secret,
    nonce: nonceOf(options.random),
    founders: new Uint8Array(FOUNDERS_BYTES),
    expected: ANYONE,
    checkDialer() {},
    // The authority is enough: which member it is, and by what name, is not known before.
    checkCertificate() {},
    checkPeer() {},
  })
  let isUp = false
  const link: Link = new Link({
    connection: network.connect(address, { tls }),
    clock,
    silenceMs,
    onOpen: () => link.write(handshake.begin()),
    onFrame: (frame) => {
      if (isUp) return options.onFrame(frame)
      const { send, peer } = handshake.take(frame)
      link.write(send)
      if (!peer) return
      isUp = true
      link.prove()
      options.onUp(peer.id)
    },
    onEnd: (end) => {
      const refusal = end.refusal ?? (tls && tlsRefusal(link, end))
      options.onEnd({ ...end, ...(refusal && { refusal }) })
    },
    onGone,
  })
  return link
}
