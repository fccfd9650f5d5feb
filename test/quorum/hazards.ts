// What went wrong in other systems, and what would tell if it went wrong here (docs/quorum.md, Hazards).

/** One of these holds it. */
export type Holder =
  /** A planted bug, by its name: the simulator, or its judge, must find it. */
  | { readonly bug: string }
  /** A test, below test, by its file and title, as they are written. */
  | { readonly test: string; readonly title: string }
  /** Played on real processes, by `npm run nemesis` and by `npm test`. */
  | { readonly scenario: string }

export interface Hazard {
  readonly source: string
  readonly text: string
  readonly held: readonly Holder[]
}

const bug = (name: string): Holder => ({ bug: name })
const test = (file: string, title: string): Holder => ({ test: file, title })
const scenario = (name: string): Holder => ({ scenario: name })

export const HAZARDS: readonly Hazard[] = [
  {
    source: 'NATS #7564',
    text: 'an append is acknowledged before it is synced',
    held: [bug('an append is acknowledged before it is synced'), scenario('nats-7564')],
  },
  {
    source: 'NATS #7567',
    text: 'one machine loses its power, others pause, and the rest decides without what was acknowledged',
    held: [bug('what is written counts as synced'), scenario('nats-7567')],
  },
  {
    source: 'NATS #7549',
    text: 'bits turn in a minority, and what a majority has is lost',
    held: [
      bug('a replica whose end was damaged votes as if it were whole'),
      scenario('nats-7549'),
      test('quorum/members/repair', 'in different places is repaired by each other'),
    ],
  },
  {
    source: 'NATS #7556',
    text: 'metadata is damaged in a minority, and data that nobody knows of any more is deleted',
    held: [
      bug('what the catalog does not know is deleted'),
      scenario('nats-7556'),
      test(
        'quorum/members/catalog-damage',
        'gets it back from others while it starts, and deletes nothing',
      ),
    ],
  },
  {
    source: 'NATS #7545',
    text: 'members change, are killed and cut off, and acknowledged appends are lost',
    held: [
      bug('voters change without a joint configuration'),
      bug('members that were cut off stay in force'),
      test('quorum/sim', 'keep their word at every stage'),
      scenario('nats-7545'),
    ],
  },
  {
    source: 'NATS #6888',
    text: 'a log is forgotten when processes are killed while it is made',
    held: [test('quorum/members/created-logs', 'is not forgotten when ')],
  },
  {
    source: 'hashicorp/raft #661',
    text: 'a vote is written in several pieces, and a crash comes between',
    held: [
      bug('the vote is not on the disk'),
      bug('what is said of a term does not wait for the disk'),
      test('quorum/formats', 'are the latest of each log, also after many, a crash and a kill'),
    ],
  },
  {
    source: 'hashicorp/raft #695',
    text: 'the term changes between its reading and its writing',
    held: [
      test('tidy', 'never waits in the core of the quorum'),
      test('tidy', 'a core that waits'),
    ],
  },
  {
    source: 'openraft #1802',
    text: 'something is committed without a majority',
    held: [
      bug('half of the voters are a quorum'),
      test(
        'quorum/majority',
        'joint ones reach what both reach: 10,000,000 cases, all marks from 0 to 2',
      ),
    ],
  },
  {
    source: 'openraft alpha.28',
    text: 'an acknowledgement of what was cut, or of a disk that was lost, still counts',
    held: [
      bug('a write that was cut since counts as written'),
      test(
        'quorum/members/attacked',
        'is not taken for the member that it was: two of three disks are still a majority',
      ),
      test(
        'quorum/members/membership',
        'are replaced when their folder is lost: under their id they are not let in',
      ),
    ],
  },
  {
    source: 'openraft PR 1220',
    text: 'who is out of date is elected',
    held: [bug('a vote is granted whatever the candidate’s log')],
  },
  {
    source: 'Redpanda #10921',
    text: 'a new leader serves before it has committed, and the high-water mark falls',
    held: [bug('a new leader answers reads before it has committed')],
  },
  {
    source: 'Redpanda PR 14794',
    text: 'entries are shown before a majority has them, where some appends wait for less',
    held: [
      bug('an append is reported when the leader alone has it'),
      test('quorum/members/members', 'append with fewer acknowledgements where that is wanted'),
    ],
  },
  {
    source: 'etcd #20418',
    text: 'the reply to an older heartbeat confirms a read',
    held: [
      bug('any heartbeat’s reply confirms any read'),
      test('quorum/replica-host', 'takes no answer to a read of an earlier life'),
    ],
  },
  {
    source: 'etcd #14370',
    text: 'a cluster of one acknowledges before its own sync',
    held: [
      bug('a leader counts itself before it has synced'),
      test('quorum/members/created-logs', 'the only member'),
    ],
  },
  {
    source: 'etcd 3.5',
    text: 'a state and the offset that it stands for are not written as one',
    held: [
      test(
        'crash/machines',
        'a durable map is in a state that it was in, and was promised, after every crash',
      ),
      test('quorum/members/machines', 'a state outlives the member that took the only snapshot'),
    ],
  },
  {
    source: 'Redpanda #3039',
    text: 'an append that is repeated after the death of a leader is there twice',
    held: [
      bug('receipts are never found'),
      bug('an opened log claims to know all its appends'),
      test(
        'quorum/append-intake',
        'answers what is known once it is committed, and appends it no more',
      ),
    ],
  },
  {
    source: 'Redpanda #30815',
    text: 'replicas ask for pre-votes for ever',
    held: [test('quorum/sim', 'keeps its word, seed '), test('quorum/scenarios', 'pre-vote')],
  },
  {
    source: 'Cloudflare, 2020',
    text: 'members that see some of the others only never agree on a leader',
    held: [
      test('quorum/hazards', 'agree on a leader, again and again'),
      test('quorum/scenarios', 'check-quorum'),
    ],
  },
  {
    source: 'etcd #6368',
    text: 'a name is lost since its folder was not synced, or the end of a log is torn',
    held: [
      bug('no directory sync after a rename'),
      test('quorum/members/created-logs', 'is not forgotten when '),
    ],
  },
  {
    source: 'openraft #1810, #1808',
    text: 'a peer that accepts and never answers stops all; members of before survive a snapshot',
    held: [
      test('quorum/transport/transport', 'give up who accepts and never answers'),
      test(
        'quorum/transport/transport',
        'are not held up by one that stops reading, nor fill their memory for it',
      ),
      test('quorum/configurations', 'that were cut are not believed after a snapshot either'),
      test('quorum/scenarios', 'snapshot-members'),
    ],
  },
  {
    source: 'Kafka, openraft PR 1753',
    text: 'the judge itself is wrong, and finds nothing',
    held: [
      test('quorum/sim', 'two votes in one term, also across a restart'),
      test('quorum/sim', 'a log that has forgotten what was synced'),
    ],
  },
]
