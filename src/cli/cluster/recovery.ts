import {
  unsafeRecover as recover,
  type SurvivingLog,
  type UnsafeRecoverReport,
} from '../../quorum/index.ts'
import type { Arguments } from '../arguments.ts'
import { type Context, EXIT_DONE, EXIT_FAILED } from '../command.ts'
import { count } from '../format.ts'
import { checkFolder } from '../kafka-address.ts'

/** Without --yes it only tells, and ends with 1. */
export async function unsafeRecover(args: Arguments, { out, err }: Context): Promise<number> {
  const yes = args.flag('yes')
  const [dir = ''] = args.words('words')
  checkFolder(dir, 'cluster unsafe-recover')
  const report = await recover(dir, { yes })
  if (args.flag('json')) out.line(JSON.stringify(report))
  else out.write(textOf(report))
  if (yes) return EXIT_DONE
  err.line('tidemark: nothing was changed; if this is what you want, run it again with --yes')
  return EXIT_FAILED
}

function textOf(report: UnsafeRecoverReport): string {
  const { cluster, id, logs, isRecovered } = report
  const gone = report.members.filter((member) => member.id !== id).map((member) => member.id)
  const others = gone.length > 0 ? `members ${gone.join(', ')}` : 'all other members'
  const lines = [
    isRecovered
      ? `member ${id} of ${cluster} is the only member now`
      : `THIS GIVES DATA UP. It would make member ${id} of ${cluster} the only member.`,
    '',
    `- Entries that ${others} have acknowledged and that never came here are LOST.`,
    '- What lies above a high-water mark here may have been acknowledged or not. It is KEPT, and counts.',
    `- ${capital(others)} must NEVER come back. Whoever does is refused. New ones need new ids and empty folders.`,
    '',
    ...logs.flatMap(logLines),
    ...report.missing.map(({ name, replicas }) => {
      return `${name}: NOTHING of it is here; it was on members ${replicas.join(', ')}. All of it is LOST.`
    }),
    '',
    ...(isRecovered ? next(report, gone) : COMPARE),
  ]
  return `${lines.join('\n')}\n`
}

const COMPARE = [
  'Look at each member that is left in this way, and take the one whose logs have the highest term, and of equals',
  'the highest end. Only one may be recovered: the folders of the others are of no use afterwards.',
]

function logLines(log: SurvivingLog): string[] {
  const name = log.name ?? `log ${log.id}, which the catalog here does not know`
  if (log.failure !== undefined)
    return [`${name}: CANNOT BE OPENED, and stays as it is: ${log.failure}`]
  const { lowWaterMark, highWaterMark, endOffset, lastTerm, lostEnd, voters } = log
  const open = endOffset - highWaterMark
  const marks = `from ${count(lowWaterMark)}, high-water mark ${count(highWaterMark)}, end ${count(endOffset)}, term ${lastTerm}`
  const lines = [`${name}: ${marks}`]
  if (open > 0) lines.push(`  ${count(open)} above the high-water mark are kept`)
  if (!log.isVoter) {
    lines.push(
      `  ONLY A COPY that learned from members ${voters.join(', ')}: it may be far behind them`,
    )
  }
  if (lostEnd !== undefined) {
    lines.push(`  DAMAGE has taken its end: ${count(endOffset)} to ${count(lostEnd - 1)} are LOST`)
  }
  for (const { from, to } of log.damaged) {
    lines.push(
      `  DAMAGED: ${count(from)} to ${count(to - 1)}. Nothing can be appended to it any more;`,
    )
    lines.push('  the rest can be read: copy it to another log, and delete this one')
  }
  return lines
}

function next({ missing }: UnsafeRecoverReport, gone: readonly number[]): string[] {
  return [
    'Next: start this member as before. Then:',
    ...gone.map((id) => `  tidemark cluster remove ${id}`),
    ...missing.map(({ name }) => `  tidemark cluster delete ${name} --yes`),
    '  start new members with join: true, in empty folders; tidemark cluster add <id> <host:port>',
  ]
}

function capital(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}`
}
