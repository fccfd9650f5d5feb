import { errnoOf } from '../../base/index.ts'
import type { Link, LinkEnd } from './link.ts'

/** Of a link that was dialed. TLS has no words of ours: that it failed is seen by how it ended before a word was heard. */
export function tlsRefusal(link: Link, { error, why, isLost }: LinkEnd): LinkEnd['refusal'] {
  if (!isLost || link.hasHeard) return undefined
  if (link.isOpen) {
    const text = `${why}, without a word: so does who does not accept a certificate`
    return { reason: 'certificate', text, byPeer: true }
  }
  const code = errnoOf(error)
  // Errors of the system, such as ECONNREFUSED, have nothing to do with TLS.
  if (code === undefined || /^E[A-Z]+$/.test(code)) return undefined
  return { reason: 'certificate', text: `${why} (${code})`, byPeer: code.includes('ALERT') }
}
