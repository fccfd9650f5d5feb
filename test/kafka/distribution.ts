// Apache Kafka as Maven has it: downloaded once into the folder for temporary files, and kept there.
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { propertiesOf } from './settings.ts'
import { SASL_USER } from './users.ts'

export const KAFKA_VERSION = '4.1.0'
const LOG4J_VERSION = '2.24.3'
const PLUGIN_VERSION = '3.8.1'
const JAVA_MIN = 17
const DOWNLOAD_MS = 300_000
const FORMAT_MS = 60_000

const PROJECT = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tidemark</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>${LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
  <build><pluginManagement><plugins><plugin>
    <artifactId>maven-dependency-plugin</artifactId><version>${PLUGIN_VERSION}</version>
  </plugin></plugins></pluginManagement></build>
</project>
`

const LOG4J = `appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
`

/** What is needed to start a broker. */
export interface Distribution {
  readonly java: string
  readonly keytool: string
  readonly classPath: string
  /** What brokers write to stdout. */
  readonly logging: string
  /** The first records of a cluster's metadata: versions of features, and the users of SASL. */
  readonly bootstrap: string
  /** Loaded classes, for a quick start: made by the first cluster for its version of Java. */
  readonly classes: string
}

/** There is none here, for this reason. */
class UnavailableError extends Error {}

let found: Distribution | UnavailableError | undefined

/** Why there is no Kafka here: what to give to `skip`. The first call downloads it, if the environment asks for it. */
export function kafkaUnavailable(): string | undefined {
  if (process.env.TIDEMARK_KAFKA !== '1') {
    return 'set TIDEMARK_KAFKA=1, or run `npm run kafka`, to test against Apache Kafka'
  }
  try {
    found ??= find()
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error
    found = error
  }
  return found instanceof UnavailableError ? found.message : undefined
}

/** Throws if there is none here. */
export function distribution(): Distribution {
  const reason = kafkaUnavailable()
  if (reason !== undefined || found === undefined || found instanceof Error) {
    throw new Error(`no Apache Kafka: ${reason}`)
  }
  return found
}

function find(): Distribution {
  if (process.platform === 'win32') throw new UnavailableError('brokers are kept by sh')
  const home = process.env.JAVA_HOME
  const isHome = home !== undefined && existsSync(join(home, 'bin', 'java'))
  const tool = (name: string) => (isHome ? join(home, 'bin', name) : name)
  const version = javaVersion(tool('java'))
  const { uid, username } = userInfo()
  const folder = join(tmpdir(), `tidemark-kafka-${KAFKA_VERSION}-${uid < 0 ? username : uid}`)
  const result = {
    java: tool('java'),
    keytool: tool('keytool'),
    classPath: join(folder, 'jars', '*'),
    logging: join(folder, 'log4j2.properties'),
    bootstrap: join(folder, 'bootstrap.checkpoint'),
    classes: join(folder, `java-${version}.jsa`),
  }
  if (!existsSync(folder)) download(folder, result.java)
  // Anybody may write to the folder above, and what is in this one is run.
  if (lstatSync(folder).uid !== uid) throw new UnavailableError(`${folder} belongs to another user`)
  return result
}

function javaVersion(java: string): string {
  const { stderr, error } = spawnSync(java, ['-version'], { encoding: 'utf8' })
  if (error) throw new UnavailableError('no java')
  const version = /version "([\w.+-]+)"/.exec(stderr)?.[1] ?? 'of an unknown version'
  // Until 8 versions were 1.7, 1.8.
  const major = Number.parseInt(version.replace(/^1\./, ''), 10)
  if (major >= JAVA_MIN) return version
  throw new UnavailableError(`java ${version} is too old: Kafka needs ${JAVA_MIN}`)
}

/** Under another name until it is complete: what is there can be believed, also with several processes at once. */
function download(folder: string, java: string): void {
  const partial = mkdtempSync(`${folder}-`)
  try {
    writeFileSync(join(partial, 'pom.xml'), PROJECT)
    writeFileSync(join(partial, 'log4j2.properties'), LOG4J)
    const jars = join(partial, 'jars')
    const goal = 'dependency:copy-dependencies'
    const pom = join(partial, 'pom.xml')
    const mvn = ['-q', '-B', '-C', '-f', pom, goal, `-DoutputDirectory=${jars}`]
    run('mvn', [...mvn, '-DincludeScope=runtime'], DOWNLOAD_MS, 'fetch Apache Kafka')
    format(partial, java)
    rmSync(join(partial, 'data'), { recursive: true })
    renameSync(partial, folder)
  } catch (error) {
    // Another process was quicker.
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
}

/** Formats a folder as Kafka's own tool does: brokers get a copy, and need not wait for the tool. */
function format(folder: string, java: string): void {
  const data = join(folder, 'data')
  mkdirSync(data)
  const settings = join(folder, 'format.properties')
  const node = { id: 1, dir: data, ports: { client: 1, controller: 2 } }
  writeFileSync(settings, propertiesOf(node, [node]))
  const { username, password } = SASL_USER
  const users = [256, 512].flatMap((bits) => [
    '--add-scram',
    `SCRAM-SHA-${bits}=[name=${username},password=${password}]`,
  ])
  const tool = ['-cp', join(folder, 'jars', '*'), 'kafka.tools.StorageTool']
  const cluster = 'AAAAAAAAAAAAAAAAAAAAAQ'
  const args = [...tool, 'format', '-t', cluster, '-c', settings, ...users]
  run(java, args, FORMAT_MS, 'format a folder')
  cpSync(join(data, 'bootstrap.checkpoint'), join(folder, 'bootstrap.checkpoint'))
}

function run(command: string, args: string[], timeout: number, what: string): void {
  const ran = spawnSync(command, args, { encoding: 'utf8', timeout })
  if (ran.status === 0) return
  const { code } = (ran.error ?? {}) as NodeJS.ErrnoException
  if (code === 'ENOENT') throw new UnavailableError(`no ${command}`)
  const lines = stripVTControlCharacters(`${ran.stdout}\n${ran.stderr}`).trim().split('\n')
  const said = lines.find((line) => /ERROR|Exception/.test(line)) ?? lines.at(-1)
  const why = code === 'ETIMEDOUT' ? `${timeout / 1000} s are over` : said
  throw new UnavailableError(`${command} cannot ${what}: ${why}`)
}
