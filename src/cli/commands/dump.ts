import { type DumpRecord, dumpLog } from '../../log/index.ts'
import type { Arguments } from '../arguments.ts'
import { type Command, type Context, EXIT_DONE, EXIT_FAILED } from '../command.ts'
import { counted } from '../format.ts'

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}

function fields(values: Readonly<Record<string, unknown>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

function asText(record: DumpRecord): string {
  switch (record.kind) {
    case 'meta':
      return metaText(record)
    case 'marks':
      return `marks: synced ${record.synced}, high-water mark ${record.highWaterMark}`
    case 'segment':
      return segmentText(record)
    case 'entry': {
      const { kind, file, position, offset, isSound, dataCrc, ...others } = record
      const crc = `crc ${hex(dataCrc)} ${isSound ? 'good' : 'BAD'}`
      return `  ${position}: offset ${offset}, ${fields(others)}, ${crc}`
    }
    case 'bad': {
      const next = record.endPosition === undefined ? 'nothing sound' : record.endPosition
      return `  ${record.position}: BAD, offset ${record.offset}: ${record.problem}; next: ${next}`
    }
  }
}

function metaText({ meta, problem }: Extract<DumpRecord, { kind: 'meta' }>): string {
  if (!meta) return `meta: BAD: ${problem}`
  const { clean, ...others } = meta
  return `meta: ${fields(others)}, ${clean ? `closed at offset ${clean.endOffset}` : 'not closed'}`
}

function segmentText(record: Extract<DumpRecord, { kind: 'segment' }>): string {
  const { file, bytes, header, problem } = record
  const size = counted(bytes, 'byte', 'bytes')
  if (!header) return `${file}: ${size}, header BAD: ${problem}`
  const { id, predecessor, ...others } = header
  return `${file}: ${size}, id ${hex(id)}, predecessor ${hex(predecessor)}, ${fields(others)}`
}

function isBad(record: DumpRecord): boolean {
  if (record.kind === 'entry') return !record.isSound
  return record.kind === 'bad' || ('problem' in record && record.problem !== undefined)
}

async function run(args: Arguments, { out, interrupted }: Context): Promise<number> {
  const signal = AbortSignal.any([interrupted, out.ended])
  const render = args.flag('json') ? JSON.stringify : asText
  let isSound = true
  try {
    for await (const record of dumpLog(args.positional('log'), { signal })) {
      if (isBad(record)) isSound = false
      out.line(render(record))
      if (!out.hasRoom) await out.room(signal)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  return isSound ? EXIT_DONE : EXIT_FAILED
}

export const dump: Command = {
  name: 'dump',
  summary: 'show segment headers and entry headers as they lie in the files',
  details: [
    'Position, offset and every other field of each entry, and whether its checksums are good. Works on',
    'damaged logs, and shows what is dead or torn too. Ends with 1 if something is bad; verify says',
    'whether that matters.',
  ],
  positionals: [{ name: 'log', help: 'the folder of the log' }],
  options: {
    json: { help: 'one object a line; kind is meta, marks, segment, entry or bad' },
  },
  examples: ['tidemark dump ./orders | less', 'tidemark dump ./orders --json | jq .position'],
  run,
}
