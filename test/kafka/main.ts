// npm run kafka -- --help says how. Tests against Apache Kafka; or a cluster of it in the foreground.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ApacheKafka, kafkaUnavailable, SASL_USER } from './apache-kafka.ts'

const USAGE = `npm run kafka -- [WORD ...] [options]

  Runs the tests in test/kafka, or those whose path contains one of the words, with Apache Kafka: real brokers, in
  JVMs on this machine. It is downloaded by Maven when it is first needed. Says why, and ends with 0, where it cannot
  be had: it needs mvn, and java of version 17 or newer, on the PATH or in JAVA_HOME.

  --start         instead: starts a cluster, prints its addresses, and stops it on Ctrl-C
  --brokers=1|3   of that cluster; 1 by default
  --sasl, --tls   with listeners for SASL, for TLS
  --help          this`

interface Asked {
  readonly words: readonly string[]
  readonly start: boolean
  readonly brokers: 1 | 3
  readonly sasl: boolean
  readonly tls: boolean
}

const asked = parsed(process.argv.slice(2))
process.env.TIDEMARK_KAFKA = '1'
// Here, and not in the tests: a download may take longer than a test may.
const reason = kafkaUnavailable()
if (reason !== undefined) {
  console.log(`skipped: no Apache Kafka here: ${reason}`)
  process.exitCode = asked.start ? 1 : 0
} else if (asked.start) await serve(asked)
else runTests(asked.words)

function parsed(args: string[]): Asked {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        start: { type: 'boolean', default: false },
        brokers: { type: 'string', default: '1' },
        sasl: { type: 'boolean', default: false },
        tls: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      console.log(USAGE)
      process.exit(0)
    }
    const brokers = Number(values.brokers)
    if (brokers !== 1 && brokers !== 3) {
      throw new Error(`--brokers is 1 or 3, not ${values.brokers}`)
    }
    return { ...values, brokers, words: positionals }
  } catch (error) {
    console.error(`kafka: ${(error as Error).message}; see npm run kafka -- --help`)
    process.exit(2)
  }
}

function runTests(words: readonly string[]): void {
  const script = fileURLToPath(new URL('../../../scripts/test.mjs', import.meta.url))
  const { status } = spawnSync(process.execPath, [script, '--kafka', ...words], {
    stdio: 'inherit',
  })
  process.exitCode = status ?? 1
}

async function serve({ brokers, sasl, tls }: Asked): Promise<void> {
  const asked = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => resolve())
    }
  })
  const cluster = await ApacheKafka.start({ brokers, sasl, tls })
  console.log(`brokers  ${cluster.brokers.join(',')}`)
  if (sasl) {
    const { username, password } = SASL_USER
    console.log(`SASL     ${cluster.saslBrokers.join(',')}  user ${username}, password ${password}`)
  }
  if (tls) console.log(`TLS      ${cluster.tlsBrokers.join(',')}  trust ${cluster.folder}/ca.pem`)
  console.log(`data     ${cluster.folder}\nCtrl-C stops it, and removes all of it`)
  await asked
  await cluster.stop()
}
