/** The user of the SASL listeners, by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. */
export const SASL_USER = { username: 'writer', password: 'secret' } as const
