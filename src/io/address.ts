import { TidemarkError } from '../base/index.ts'

/** A place on the network. */
export interface Address {
  /** A name or an IP address, the latter without brackets. */
  readonly host: string
  readonly port: number
}

const PORT_MAX = 65_535
const PATTERN = /^(?:\[(?<v6>[0-9a-fA-F:.]+(?:%\w+)?)\]|(?<name>[\w.-]+)):(?<port>\d{1,5})$/

/**
 * `host:port`, or `[::1]:port`. Throws INVALID_ARGUMENT that names `what` it is and what was given.
 */
export function parseAddress(text: string, what: string): Address {
  const groups = PATTERN.exec(text)?.groups
  const host = groups?.v6 ?? groups?.name
  const port = Number(groups?.port)
  if (host !== undefined && port <= PORT_MAX) return { host, port }
  const given = JSON.stringify(text)
  throw new TidemarkError('INVALID_ARGUMENT', `${what} is not host:port or [IPv6]:port: ${given}`)
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
