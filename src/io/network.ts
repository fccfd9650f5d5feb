// The port to other machines: streams of bytes between addresses.

/** How a side shows who it is, and whom it believes: PEM. Both sides must have a certificate. */
export interface TlsCredentials {
  readonly cert: string | Buffer
  readonly key: string | Buffer
  /** Whoever has a certificate of one of these is let in; no other authority is believed. */
  readonly ca: string | Buffer
}

/** A certificate that one of the sides does not accept, or bytes that are no TLS. */
export type TlsProblem = 'certificate' | 'garbage'

export interface ListenOptions {
  readonly tls?: TlsCredentials | undefined
  /** With TLS only once the certificate of the other side is verified. */
  readonly onConnection: (connection: Connection) => void
  /** The other side did not get through TLS; not told of one that only went away. */
  readonly onTlsFailure: (remote: string, problem: TlsProblem, why: string) => void
}

export interface ConnectOptions {
  readonly tls?: TlsCredentials | undefined
  /** The name that is asked for under TLS; whether the certificate is for it, {@link Connection.isFor} says. */
  readonly serverName?: string
}

export interface Network {
  /**
   * Rejects with the system's error (EADDRINUSE, EADDRNOTAVAIL, EACCES, ENOTFOUND). Port 0 is any that is
   * free. A bad key or certificate throws.
   */
  listen(address: string, options: ListenOptions): Promise<Listener>
  /** The name of the host is looked up at each call. Failures come to {@link ConnectionEvents.onClose}. */
  connect(address: string, options: ConnectOptions): Connection
}

export interface Listener {
  /** With the port that it really has. */
  readonly address: string
  /** Resolves once nobody is listened for and all connections that came in are gone. It ends none that was handed out. */
  close(): Promise<void>
}

export interface ConnectionEvents {
  /** Only of a connection that was made by {@link Network.connect}. */
  onOpen?(): void
  /** The receiver may keep the chunk. */
  onData(chunk: Buffer): void
  /** Once, the last event. The error if it did not end in order. */
  onClose(error: Error | undefined): void
}

export interface Connection {
  /** The address of the other side: as it was dialed, or as it came. */
  readonly remote: string
  /** Bytes that were written and that the system has not taken yet. */
  readonly waitingBytes: number
  /** Begins to read. Nothing is read, and no event told, before. */
  start(events: ConnectionEvents): void
  /** Bytes in order. What is written within one turn leaves together. The parts must not change any more. */
  write(parts: readonly Uint8Array[]): void
  /** True if the verified certificate of the other side is for this name or IP address. False without TLS. */
  isFor(name: string): boolean
  /** Sends what waits, then says that nothing more comes. */
  end(): void
  /** At once; what waits is lost. */
  destroy(): void
}
