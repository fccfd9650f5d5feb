import { channel } from 'node:diagnostics_channel'

// The port to whoever watches a program from within: named channels of Node's `diagnostics_channel`.

/** A channel that carries messages of one kind. Look at `hasSubscribers` before a message is made. */
export interface Channel<M extends object> {
  readonly hasSubscribers: boolean
  publish(message: M): void
}

/** The channel of this name in this process. */
export function diagnosticsChannel<M extends object>(name: string): Channel<M> {
  return channel(name)
}
