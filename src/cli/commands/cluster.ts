import { type ActionShape, actionOf } from '../actions.ts'
import type { Arguments } from '../arguments.ts'
import type { Command, Context } from '../command.ts'

interface Action extends ActionShape {
  /** What runs it, in ../cluster/actions.ts. */
  readonly runs: keyof typeof import('../cluster/actions.ts')
}

const COMMON = ['at', 'cluster', 'secret-file', 'ca', 'cert', 'key', 'timeout', 'json']

const ACTIONS: Readonly<Record<string, Action>> = {
  status: { words: [''], options: [...COMMON, 'watch'], runs: 'status' },
  add: { words: ['<id> <host:port>'], options: [...COMMON, 'wait'], runs: 'add' },
  remove: { words: ['<id>'], options: [...COMMON, 'wait'], runs: 'remove' },
  transfer: { words: ['<log> <to>'], options: COMMON, runs: 'transfer' },
  scrub: { words: ['', '<log>'], options: COMMON, runs: 'scrub' },
  delete: { words: ['<log>'], options: [...COMMON, 'yes'], runs: 'deleteLog' },
  export: { words: ['<log> <dir>'], options: COMMON, runs: 'exportLog' },
  import: { words: ['<dir> <log>'], options: [...COMMON, 'name'], runs: 'importLog' },
  'unsafe-recover': { words: ['<dir>'], options: ['yes', 'json'], runs: 'unsafeRecover' },
}
const NAMES = Object.keys(ACTIONS)

async function run(args: Arguments, context: Context): Promise<number> {
  const { runs } = actionOf(args, 'cluster', ACTIONS)
  const actions = await import('../cluster/actions.ts')
  return actions[runs](args, context)
}

export const cluster: Command = {
  name: 'cluster',
  summary: 'ask the members of a cluster, and change who they are',
  details: [
    'status               shows members and logs, as the member sees them that is asked',
    'add <id> <host:port> makes a member of what listens there, or will',
    'remove <id>          takes a member out; the others keep what it kept',
    'transfer <log> <to>  has another member lead a log, and waits until it does',
    'scrub [<log>]        has the member that is asked read all it has, and tells of damage',
    'delete <log>         deletes a log on all members; with --yes',
    'export <log> <dir>   appends what the log has to that in a folder, which is made; again: what came since',
    'import <dir> <log>   appends what the log in a folder has to a log that there is; again: what came since',
    'unsafe-recover <dir> when a majority is gone for good: makes the stopped member in a folder the only one',
    '',
    'Any member can be asked. The lag of followers is known to the leader of a log, which is asked too; - is',
    'written where it does not answer. The secret is in a file, or in TIDEMARK_SECRET: others can see the command line.',
  ],
  positionals: [
    { name: 'action', words: NAMES, help: NAMES.join(', ') },
    { name: 'words', isMany: true, help: 'what the action needs: a member, a log' },
  ],
  options: {
    at: {
      value: 'host:port',
      isMany: true,
      help: 'where a member listens; of several, by commas or by several --at, the first that answers. TIDEMARK_CLUSTER by default',
    },
    cluster: { value: 'name', help: 'the name of the cluster; tidemark by default' },
    'secret-file': {
      value: 'file',
      help: 'what the members have as secret; TIDEMARK_SECRET by default',
    },
    ca: {
      value: 'file',
      help: 'TLS: the authority whose certificates are believed; with --cert and --key',
    },
    cert: { value: 'file', help: 'TLS: a certificate of that authority' },
    key: { value: 'file', help: 'TLS: the key of the certificate' },
    timeout: {
      value: 'seconds',
      help: 'how long to wait for a member, and for its answer; 10 by default, an hour for the answer to scrub',
    },
    watch: { help: 'status: every second again, until Ctrl-C' },
    wait: { help: 'add, remove: wait until it is done on all logs' },
    name: {
      value: 'text',
      help: 'import: what it is called, for the next one to go on; the path of the folder by default',
    },
    yes: {
      help: 'delete, unsafe-recover: do it; without, unsafe-recover says what would be lost and what stays',
    },
    json: {
      help: 'one object: status (what member.status() has, of each log the followers that its leader has), add and remove (id, state), transfer (log, leader), delete (log, state), export (what exportLog() has), import (what importLog() has), scrub (what member.scrub() has), unsafe-recover (what unsafeRecover() has); status --watch: one a line',
    },
  },
  examples: [
    'tidemark cluster status --at db1.example:7000 --secret-file ./secret',
    'tidemark cluster status --at db1.example:7000,db2.example:7000 --watch',
    'tidemark cluster add 4 db4.example:7000 --at db1.example:7000 --wait',
    'tidemark cluster remove 2 --at db1.example:7000 --wait',
    'tidemark cluster transfer orders 3 --at db1.example:7000',
    'tidemark cluster scrub orders --at db1.example:7000 --json',
    'tidemark cluster export orders ./orders --at db1.example:7000',
    'tidemark cluster import ./orders orders --at db4.example:7000',
    'tidemark cluster unsafe-recover ./member-3',
  ],
  run,
}
