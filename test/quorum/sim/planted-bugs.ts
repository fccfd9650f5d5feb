// A simulator that cannot fail proves nothing. Each planted bug puts back what went wrong in some system, as an edit of the built code in a copy of it; the simulator has to find each.
// An edit whose text is not found is an error, so that the list cannot rot.
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { drawSettings, type SimSettings } from './settings.ts'

export interface QuorumBug {
  readonly name: string
  /** Where it was seen, or which rule is there against it. */
  readonly source: string
  /** Below dist. */
  readonly file: string
  readonly find: string
  readonly replace: string
  /** Runs within which it must be found. */
  readonly seeds: number
  /** Only runs that are drawn like this: what it takes is rare in others. */
  readonly apt?: (settings: SimSettings) => boolean
  /** Why it is only hunted when it is asked for by name. */
  readonly isRare?: string
  /** In runs in which the members walk. */
  readonly walk?: true
  /** What the simulator has no place for is judged by this test instead, below test/quorum. */
  readonly judge?: string
}

/** Somebody leads, is cut off, and leads again, while appends that are given up late go on by way of others. */
function isRestless({ members, appends, everyMs, network }: SimSettings): boolean {
  if (!appends || members < 3 || members > 5) return false
  const isPatient = appends.pipeline.timeoutMs > 2_000
  const isMoving = everyMs.transfer > 0 && everyMs.transfer < 2_000
  return isPatient && isMoving && network.partitionsPerSecond > 0
}

/** Disks lose what was synced, of so few that each one counts. */
function isRotting({ members, everyMs }: SimSettings): boolean {
  const isDown = everyMs.power > 0 || everyMs.kill > 0
  return members === 3 && isDown && everyMs.rot > 0 && everyMs.rot < 6_000
}

/** Members change often. */
function isChanging({ members, everyMs }: SimSettings): boolean {
  return members > 1 && everyMs.members > 0 && everyMs.members < 3_000
}

/** Leaders have too much to do, and much is sent to them at a time. */
function isCrowded({ appends, host, syncMs, thinkMs }: SimSettings): boolean {
  if (!appends || appends.pipeline.underWayMax < 4 || appends.burst < 3) return false
  return host.uncommittedBytesMax <= 2_000 && syncMs >= 10 && thinkMs <= 60
}

export const QUORUM_BUGS: readonly QuorumBug[] = [
  {
    name: 'an append is acknowledged before it is synced',
    source: 'NATS #7564',
    file: 'quorum/core/state.js',
    find: "    'append-reply',\n",
    replace: '',
    seeds: 100,
  },
  {
    // The strikes of a walk are of one replica, or of another a moment later: none takes the power of all.
    name: 'what is written counts as synced',
    source: 'NATS #7567',
    file: 'log/commit.js',
    find: "if (w.settings.sync === 'always')\n                yield* syncWritten(w);",
    replace: '',
    seeds: 100,
    walk: true,
    apt: ({ everyMs }) => everyMs.trim === 0,
  },
  {
    name: 'a replica whose end was damaged votes as if it were whole',
    source: 'NATS #7549',
    file: 'quorum/stored-log.js',
    find: 'lostEnd: lost.length === 0 ? undefined : Math.max(...lost.map((range) => range.endOffset)),',
    replace: 'lostEnd: undefined,',
    seeds: 1500,
    apt: isRotting,
  },
  {
    name: 'what the catalog does not know is deleted',
    source: 'NATS #7556',
    file: 'quorum/catalog-follower.js',
    find: 'for (const log of catalog.toDelete(id))\n',
    replace: `const lying = this.#context.files.listSync(join(this.#context.dir, 'logs')).map(Number);
        const isUnknown = (log) => log !== 0 && !catalog.logs.some((each) => each.id === log);
        for (const log of [...catalog.toDelete(id), ...lying.filter(isUnknown)])
`,
    seeds: 1,
    judge: 'members/catalog-behind',
  },
  {
    name: 'voters change without a joint configuration',
    source: 'NATS #7545',
    file: 'quorum/core/members.js',
    find: 'outgoing: same ? [] : now.voters',
    replace: 'outgoing: []',
    seeds: 1000,
    apt: isChanging,
  },
  {
    name: 'members that were cut off stay in force',
    source: 'NATS #7545',
    file: 'quorum/core/configurations.js',
    find: 'this.#list = this.#list.filter(({ point }, i) => i === 0 || point.mark <= mark);',
    replace: '',
    seeds: 1000,
    apt: isChanging,
    isRare: 'it has taken 157 seeds once, and more than 240 since',
  },
  {
    name: 'the vote is not on the disk',
    source: 'hashicorp/raft #661',
    file: 'quorum/core/state.js',
    find: 'return { term, vote, promised,',
    replace: 'return { term, vote: 0, promised,',
    seeds: 300,
  },
  {
    name: 'what is said of a term does not wait for the disk',
    source: 'hashicorp/raft #661',
    file: 'quorum/disk-queue.js',
    find: 'await this.#saveHard(hard);',
    replace: 'void this.#saveHard(hard);',
    seeds: 100,
  },
  {
    name: 'half of the voters are a quorum',
    source: 'openraft #1802',
    file: 'quorum/core/majority.js',
    find: 'return Math.floor(count / 2) + 1;',
    replace: 'return Math.max(1, Math.floor(count / 2));',
    seeds: 300,
  },
  {
    name: 'a write that was cut since counts as written',
    source: 'etcd raft: the async-write race',
    file: 'quorum/core/io-queue.js',
    find: 'work.end = Math.min(work.end, mark);',
    replace: 'void work;',
    seeds: 1500,
  },
  {
    name: 'a vote is granted whatever the candidate’s log',
    source: 'openraft PR 1220',
    file: 'quorum/core/election.js',
    find: 'const granted = mayGrant && reaches(request.last, state.claim);',
    replace: 'const granted = mayGrant;',
    seeds: 300,
  },
  {
    name: 'a new leader answers reads before it has committed',
    source: 'Redpanda #10921',
    file: 'quorum/core/reading.js',
    find: 'if (state.log.committed < leading.ownMark)',
    replace: 'if (false)',
    seeds: 1000,
  },
  {
    name: 'an append is reported when the leader alone has it',
    source: 'Redpanda PR 14794',
    file: 'quorum/core/tenure.js',
    find: "end <= (acks === 'leader' ? sound : shown)",
    replace: 'end <= sound',
    seeds: 300,
  },
  {
    name: 'any heartbeat’s reply confirms any read',
    source: 'etcd #20418',
    file: 'quorum/core/reading.js',
    find: '?? 0) >= round',
    replace: '?? 0) >= 0',
    seeds: 1000,
  },
  {
    name: 'a leader counts itself before it has synced',
    source: 'etcd #14370',
    file: 'quorum/core/leading.js',
    find: 'return state.log.sound;',
    replace: 'return state.log.last.mark;',
    seeds: 300,
  },
  {
    name: 'a heartbeat commits more than the follower has acknowledged',
    source: 'RATIS-2605',
    file: 'quorum/core/replication.js',
    find: 'const commit = Math.min(match, committed);',
    replace: 'const commit = committed;',
    seeds: 1000,
  },
  {
    name: 'an old append cuts what came after it',
    source: 'Raft 5.3',
    file: 'quorum/core/following.js',
    find: 'if (batch.end <= log.last.mark && log.termAt(batch.end) === batch.term)',
    replace: 'if (false)',
    seeds: 300,
  },
  {
    name: 'a change of members before the leader has committed in its term',
    source: 'Ongaro, 2015',
    file: 'quorum/core/core.js',
    find: 'return isChangeOver(state) && log.committed >= leading.ownMark ? undefined',
    replace: 'return true ? undefined',
    seeds: 1000,
    apt: isChanging,
  },
  {
    name: 'the head of a frame is believed whatever its checksum',
    source: 'docs/format.md',
    file: 'quorum/wire/frame.js',
    find: 'if (crc32(body, 0, headLength) !== headCrc)',
    replace: 'if (false)',
    seeds: 100,
  },
  {
    name: 'the data of an entry is believed whatever its checksum',
    source: 'docs/format.md',
    file: 'quorum/wire/frame-body.js',
    find: 'if (crc32OfView(this.#view, at, this.#at) !== crc)',
    replace: 'if (false)',
    seeds: 100,
  },
  {
    name: 'receipts are never found',
    source: 'Raft 6.3',
    file: 'quorum/receipts.js',
    find: 'return this.#bySession.get(session)?.get(request);',
    replace: 'return undefined;',
    seeds: 300,
  },
  {
    name: 'the receipt of a batch that was cut still counts',
    source: 'docs/quorum.md',
    file: 'quorum/disk-queue.js',
    find: 'this.#receipts.cut(truncate);',
    replace: '',
    seeds: 1000,
    apt: isRestless,
  },
  {
    name: 'groups are taken in any order',
    source: 'docs/quorum.md',
    file: 'quorum/append-intake.js',
    find: 'stream.next === place && !stream.isBroken',
    replace: 'true',
    seeds: 1000,
    apt: isCrowded,
  },
  {
    name: 'an opened log claims to know all its appends',
    source: 'docs/quorum.md',
    file: 'quorum/receipts.js',
    find: 'const receipts = new Receipts(from);',
    replace: 'return new Receipts(0);',
    seeds: 1000,
  },
  {
    name: 'what is known is answered before it is committed',
    source: 'docs/quorum.md',
    file: 'quorum/append-intake.js',
    find: 'return this.#whenCommitted(known.start, known.end);',
    replace: "return Promise.resolve({ kind: 'done', start: known.start });",
    seeds: 1000,
  },
  {
    name: 'no directory sync after a rename',
    source: 'etcd #6368',
    file: 'log/file-steps.js',
    find: 'yield syncFolderStep(files, dirname(path));',
    replace: '',
    seeds: 1000,
  },
]

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))

/**
 * Plants each bug whose name has `words` in it in a copy of the build and runs seeds until one fails. True if
 * all were found.
 */
export async function huntPlantedBugs(
  seed: number,
  words: string,
  [part, of]: readonly [number, number],
): Promise<boolean> {
  let found = 0
  const runs = ({ seeds }: Hunted) => `${seeds} ${seeds === 1 ? 'run' : 'seeds'}`
  const bugs = QUORUM_BUGS.filter(({ name }, i) => name.includes(words) && i % of === part - 1)
  const hunted = bugs.filter(({ isRare }) => !isRare || words !== '')
  for (const bug of bugs) {
    if (bug.isRare && words === '') {
      process.stdout.write(`  ${bug.source.padEnd(30)}  ${bug.name}: left out: ${bug.isRare}\n`)
      continue
    }
    const result = await hunt(bug, seed)
    if (result.fault) found++
    const outcome = result.fault
      ? `found after ${runs(result)}: ${result.fault.slice(0, 100)}`
      : `MISSED after ${runs(result)}`
    process.stdout.write(`  ${bug.source.padEnd(30)}  ${bug.name}: ${outcome}\n`)
  }
  process.stdout.write(`planted bugs: ${found} of ${hunted.length} found\n`)
  return found === hunted.length && found > 0
}

function seedsFor({ seeds, apt, walk }: QuorumBug, first: number): number[] {
  const chosen: number[] = []
  for (let seed = first; chosen.length < seeds; seed++) {
    if (!apt || apt(drawSettings(seed, [], walk))) chosen.push(seed)
  }
  return chosen
}

function run(args: readonly string[]): Promise<string> {
  const running = promisify(execFile)(process.execPath, args)
  return running.catch((error) => error).then(({ stdout }: { stdout: string }) => stdout)
}

async function simulate(bug: QuorumBug, build: string, seed: number): Promise<Hunted> {
  const main = join(build, 'test', 'quorum', 'sim', 'main.js')
  const walk = bug.walk ? ['--walk'] : []
  const stdout = await run([main, ...walk, `--list=${seedsFor(bug, seed).join(',')}`, '--first'])
  if (!stdout.includes(' seeds in ')) throw new Error(`${bug.name}: no seed was run: ${stdout}`)
  const fault = /FAULT seed \d+: (.*)/.exec(stdout)?.[1]
  return { seeds: Number(/(\d+) seeds in/.exec(stdout)?.[1] ?? 0), fault }
}

async function judgeBy(judge: string, build: string): Promise<Hunted> {
  const path = join(build, 'test', 'quorum', `${judge}.test.js`)
  const stdout = await run(['--test', '--test-reporter=tap', path])
  if (!/^# tests [1-9]/m.test(stdout)) throw new Error(`${judge}: no test was run: ${stdout}`)
  const title = /^ +not ok \d+ - (.*)/m.exec(stdout)?.[1]
  return { seeds: 1, fault: title && `${judge}: ${title}` }
}

/** What was found, and after how many seeds. */
interface Hunted {
  readonly seeds: number
  readonly fault: string | undefined
}

async function hunt(bug: QuorumBug, seed: number): Promise<Hunted> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-sim-'))
  try {
    for (const part of ['package.json', 'dist', 'build']) {
      cpSync(join(ROOT, part), join(folder, part), { recursive: true })
    }
    const path = join(folder, 'dist', bug.file)
    const text = readFileSync(path, 'utf8')
    if (text.split(bug.find).length !== 2) throw new Error(`${bug.file} has not once: ${bug.find}`)
    writeFileSync(
      path,
      text.replace(bug.find, () => bug.replace),
    )
    const build = join(folder, 'build')
    return await (bug.judge ? judgeBy(bug.judge, build) : simulate(bug, build, seed))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
