/**
 * Turns what a program appends into bytes and back. `encode` may return a string, which is stored as
 * UTF-8 without a copy in between. `decode` gets bytes that nobody else will change; it must not
 * change them either.
 */
export interface Codec<T, I = T> {
  encode(value: I): Uint8Array | string
  decode(bytes: Buffer): T
}

/** What a log of `T` takes unless its codec says otherwise: where entries are plain bytes, strings too. */
export type InputOf<T> = [T] extends [Buffer] ? Uint8Array | string : T

/** Bytes as they are; strings go in as UTF-8. The default. */
export const bytes: Codec<Buffer, Uint8Array | string> = {
  encode: (value) => value,
  decode: (data) => data,
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** Strings as UTF-8. Lone surrogates, which UTF-8 cannot hold, become U+FFFD. */
export const text: Codec<string> = {
  encode: (value) => value,
  decode: (data) => utf8.decode(data),
}

/** JSON values. `undefined` and functions are not JSON: appending them throws INVALID_ARGUMENT. */
export function json<T = unknown>(): Codec<T> {
  return {
    encode: (value) => JSON.stringify(value),
    decode: (data) => JSON.parse(utf8.decode(data)) as T,
  }
}
