import { type ActionShape, actionOf } from '../actions.ts'
import type { Arguments } from '../arguments.ts'
import type { Command, Context } from '../command.ts'
import { SYNC_OPTION } from '../sync-policy.ts'

interface Action extends ActionShape {
  /** What runs it, in ../kv/actions.ts. */
  readonly runs: keyof typeof import('../kv/actions.ts')
}

const ACTIONS: Readonly<Record<string, Action>> = {
  set: {
    words: ['', '<key> <value>'],
    options: ['ack', 'ttl', 'sync', 'quiet'],
    runs: 'set',
  },
  get: { words: ['<key>'], options: ['json'], runs: 'get' },
  delete: { words: ['<key>'], options: ['sync', 'quiet', 'json'], runs: 'deletion' },
  cas: {
    words: ['<key> <expected> <next>'],
    options: ['absent', 'ttl', 'sync', 'quiet', 'json'],
    runs: 'compareAndSet',
  },
  list: {
    words: [''],
    options: ['prefix', 'from', 'to', 'limit', 'reverse', 'json'],
    runs: 'list',
  },
  watch: { words: [''], options: ['from', 'json'], runs: 'watch' },
  snapshot: { words: [''], options: ['json'], runs: 'snapshot' },
  info: { words: [''], options: ['json'], runs: 'info' },
}
const NAMES = Object.keys(ACTIONS)
/** With --absent, cas is told nothing that it should expect. */
const WORDS_OF_ABSENT = ['<key> <next>']

async function run(args: Arguments, context: Context): Promise<number> {
  const { runs } = actionOf(args, 'kv', ACTIONS, ({ words }) => {
    return args.flag('absent') ? WORDS_OF_ABSENT : words
  })
  const actions = await import('../kv/actions.ts')
  return actions[runs](args, context)
}

export const kv: Command = {
  name: 'kv',
  summary: 'a map of strings to strings that survives: set, get, list, watch',
  details: [
    'set <key> <value>           sets a key, and is done when that is safe',
    'set                         sets a key for each line of standard input: key, TAB, value',
    'get <key>                   prints the value as it is; ends with 1, silently, if there is none',
    'delete <key>                says whether the key was there; ends with 0 in either case',
    'cas <key> <expected> <next> sets a key if it holds what is expected; ends with 1 if not',
    'cas <key> <next> --absent   sets a key if it is not there; ends with 1 if it is',
    'list                        prints key, TAB, value, a line for each, in the order of the keys',
    'watch                       prints changes as they come: set key, TAB, value; or delete key',
    'snapshot                    writes the map down, so that the log before it can be forgotten',
    'info                        shows keys, bytes of memory, snapshots and the marks of the log',
    '',
    'set, delete and cas make the map if there is none; one process at a time can write. The others work',
    'meanwhile. In lines (of set, list, watch, --ack) a backslash is \\\\, a TAB \\t, a newline \\n, a carriage',
    'return \\r; what list prints, set reads. A line that set cannot read ends it with 2: those before',
    'it are set, and none behind it. The order is that of the units of UTF-16. With --json, get, cas and',
    'watch write null for a value that is not there. A key or value that begins with - goes behind --.',
    '',
    'On Kafka several processes can write, and the topic is read from its beginning each time, unless the',
    'address has dir= for snapshots. The topic is not trimmed behind them, since others need it: trim does that.',
    'A program that opens a DurableMap on the same topic gives it trim: false, or it trims for everybody.',
  ],
  positionals: [
    {
      name: 'dir',
      isAddress: true,
      help: 'the folder of the map, which is a log, or its address on Kafka',
    },
    { name: 'action', words: NAMES, help: NAMES.join(', ') },
    { name: 'words', isMany: true, help: 'what the action needs: keys and values' },
  ],
  options: {
    ack: { help: 'set: print each key, in the order of the input, once it is safe' },
    ttl: {
      value: 'ms',
      help: 'set, cas: the key is gone so much later, with the first change after that',
    },
    absent: { help: 'cas: the key must not be there' },
    prefix: { value: 'text', help: 'list: keys that begin with this' },
    from: {
      value: 'key',
      help: 'list: begin at this key. watch: begin at this offset, such as info shows, at most as far back as the newest snapshot; now by default',
    },
    to: { value: 'key', help: 'list: end before this key' },
    limit: { value: 'n', help: 'list: so many at most' },
    reverse: { help: 'list: the highest key first' },
    sync: SYNC_OPTION,
    quiet: { short: 'q', help: 'set: no summary. delete, cas: say nothing' },
    json: {
      help: 'one object: get (key, value), delete (key, deleted), cas (key, done, value), snapshot (offset, keys, bytes), info (folder, or log on Kafka, keys, bytes, offset, snapshots, lowWaterMark, highWaterMark); one a line: list (key, value), watch (offset, key, value)',
    },
  },
  examples: [
    "tidemark kv ./settings set color 'dark blue'",
    'tidemark kv ./settings get color',
    'tidemark kv ./settings cas color red green || echo somebody was faster',
    'tidemark kv ./settings list --prefix user. --json',
    'tidemark kv ./settings list | tidemark kv ./copy set --ack',
    'tidemark kv ./settings watch --from 0',
    'tidemark kv ./settings set balance -- -5',
    "tidemark kv 'kafka://kafka1:9092/settings?dir=/var/cache/settings' get color",
  ],
  run,
}
