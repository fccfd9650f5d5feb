// The key and the certificate of brokers that take TLS.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { KeyStore } from './settings.ts'

const PASSWORD = 'of-a-test'
const LIMIT_MS = 30_000

export interface Keys extends KeyStore {
  /** The certificate, which has signed itself, as PEM. */
  readonly certificate: string
}

/** For 127.0.0.1 and localhost, for two days. */
export async function makeKeys(keytool: string, folder: string): Promise<Keys> {
  const path = join(folder, 'keys.p12')
  const certificate = join(folder, 'ca.pem')
  const store = ['-keystore', path, '-storepass', PASSWORD, '-storetype', 'PKCS12']
  const run = (...args: string[]) =>
    promisify(execFile)(keytool, [...args, ...store], { timeout: LIMIT_MS })
  const key = ['-alias', 'kafka', '-keyalg', 'EC', '-groupname', 'secp256r1', '-validity', '2']
  const names = ['-dname', 'CN=localhost', '-ext', 'san=dns:localhost,ip:127.0.0.1']
  await run('-genkeypair', ...key, ...names, '-ext', 'bc:c=ca:true')
  await run('-exportcert', '-alias', 'kafka', '-rfc', '-file', certificate)
  return { path, password: PASSWORD, certificate: readFileSync(certificate, 'utf8') }
}
