import { TidemarkError } from '../base/index.ts'

/**
 * Refuses a file of a version that this release does not know. `what` begins the sentence, `file` is the
 * name in the log's folder. What is older is read; there is no older version yet.
 */
export function unsupportedVersion(
  what: string,
  file: string,
  version: number,
  known: number,
): TidemarkError {
  return new TidemarkError(
    'UNSUPPORTED_VERSION',
    `${what} has format version ${version}, and this release knows versions up to ${known}; use a newer release`,
    { file },
  )
}
