import type { BuildEdit } from '../kill/quorum/planted-build.ts'

/** Edits of the built code that the nemesis must find: one that cannot fail proves nothing. */
export const BUGS: Readonly<Record<string, BuildEdit>> = {
  /** What is asked of the disk counts as done before it is (NATS #7564). It takes the loss of power: `--only=power,power-all`. */
  unsynced: {
    file: 'quorum/disk-queue.js',
    find: 'Promise.all(own.writes)',
    replace: 'own.writes.length',
  },
  /** One of two or three is a majority: `--only=kill,links`. */
  half: {
    file: 'quorum/core/majority.js',
    find: 'return Math.floor(count / 2) + 1;',
    replace: 'return Math.max(1, Math.floor(count / 2));',
  },
  /** What is asked again is not recognized: `--only=kill`. */
  receipts: {
    file: 'quorum/receipts.js',
    find: 'return this.#bySession.get(session)?.get(request);',
    replace: 'return undefined;',
  },
  /** The data of an entry on a disk is believed whatever its checksum: `--flips=50`. */
  checksum: {
    file: 'log/decode.js',
    find: 'crc32OfView(view, start, end) !== header.dataCrc',
    replace: 'false',
  },
}
