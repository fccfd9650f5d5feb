/** How a state is written into a snapshot and read back. */
export interface StateCodec<S> {
  /**
   * The state as it is at the call, in chunks. Commands go on while the chunks are taken, one after the other, and
   * must not show in them: encode at once what is small, and have what is large keep its old version
   * meanwhile (as `Table` does).
   */
  encode(state: S): Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  /** The state that `encode` wrote. The chunks may be cut elsewhere. */
  decode(chunks: AsyncIterable<Uint8Array>): S | Promise<S>
}

/** JSON in one piece. The process stands still while it is made: for states of up to a few MiB. */
export function jsonState<S>(): StateCodec<S> {
  return {
    encode: (state) => [Buffer.from(JSON.stringify(state))],
    async decode(chunks) {
      const parts: Uint8Array[] = []
      for await (const chunk of chunks) parts.push(chunk)
      return JSON.parse(Buffer.concat(parts).toString()) as S
    },
  }
}
