// Connections between members: who is on the other side is proven before anything else is believed.

export { dialAsOperator } from './dial-operator.ts'
export type { PeerIdentity } from './handshake.ts'
export type { Link, LinkEnd } from './link.ts'
export type { TlsOptions, TransportOptions } from './options.ts'
export { Refusal, type RefusalReason } from './refusal.ts'
export type { RefusedEvent } from './refused-events.ts'
export { Transport } from './transport.ts'
