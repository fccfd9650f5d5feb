import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// Certificates for tests, made by openssl in a folder that is removed again.

export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** Why there can be none on this machine; undefined if there can. */
export function whyNoCertificates(): string | false {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'there is no openssl to make certificates with'
  }
}

/** An authority, and certificates of it, each for one name (`IP:127.0.0.1`, `DNS:two.example`). */
export function makeCertificates(names: Readonly<Record<string, string>>): {
  ca: string
  of: Map<string, Certificate>
} {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-tls-'))
  const ssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  try {
    ssl('req', '-x509', ...fresh, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=ca')
    const of = new Map<string, Certificate>()
    for (const [name, subject] of Object.entries(names)) {
      const alternative = ['-addext', `subjectAltName=${subject}`]
      const request = ['-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`]
      ssl('req', ...fresh, ...request, ...alternative)
      const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial']
      const files = ['-in', `${name}.csr`, '-out', `${name}.pem`]
      ssl('x509', '-req', ...files, ...signed, '-copy_extensions', 'copy')
      of.set(name, { cert: read(`${name}.pem`), key: read(`${name}.key`) })
    }
    return { ca: read('ca.pem'), of }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
