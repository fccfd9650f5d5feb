import { TidemarkError } from '../base/index.ts'

/** The package that speaks with the brokers. */
export type Client = typeof import('@platformatic/kafka')
export type Connection = InstanceType<Client['Connection']>

/**
 * Loads the client, which only those install who use Kafka. Throws NOT_FOUND that says how to get it, UNSUPPORTED_VERSION if
 * the one that is there does not run on this Node.
 */
export async function loadClient(): Promise<Client> {
  try {
    return await import('@platformatic/kafka')
  } catch (error) {
    const major = Number(process.versions.node.split('.')[0]) < 22 ? 1 : 2
    if ((error as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') {
      const problem = `@platformatic/kafka does not load on Node ${process.versions.node}, where major ${major} of it does: npm install @platformatic/kafka@${major}`
      throw new TidemarkError('UNSUPPORTED_VERSION', problem, {}, error)
    }
    const problem = `logs on Kafka need the package @platformatic/kafka: npm install @platformatic/kafka@${major}`
    throw new TidemarkError('NOT_FOUND', problem, {}, error)
  }
}
