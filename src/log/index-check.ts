import { viewOf } from '../base/index.ts'
import type { File, Files } from '../io/index.ts'
import { ENTRY_HEADER_BYTES, EntryHeader } from './entry-format.ts'
import { readWholeSync } from './file-steps.ts'
import {
  decodeIndex,
  INDEX_HEADER_BYTES,
  INDEX_POINT_BYTES,
  type IndexImage,
} from './index-format.ts'
import { segmentName } from './names.ts'
import type { Segment } from './segment.ts'

/**
 * Checks an index file against its store: each point must lie on the header of the entry that it
 * names. One that is missing, stale or unreadable is only noted, since it will be rebuilt.
 */
export function checkIndexFile(
  files: Files,
  segment: Segment,
  notes: string[],
  report: (position: number, offset: number, problem: string) => void,
): void {
  const limit =
    INDEX_HEADER_BYTES + Math.ceil(segment.endPosition / ENTRY_HEADER_BYTES) * INDEX_POINT_BYTES
  const bytes = readWholeSync(files, segment.indexPath, limit)
  if (!bytes) return
  const name = `${segmentName(segment.base, segment.id)}.index`
  const image = decodeIndex(bytes)
  if (!image || image.segmentId !== segment.id) {
    notes.push(`${name} is not readable and will be rebuilt`)
    return
  }
  if (image.coveredBytes !== segment.endPosition) return
  const file = files.openSync(segment.storePath, 'read')
  try {
    checkPoints(file, segment, image, report)
  } finally {
    file.closeSync()
  }
}

function checkPoints(
  file: File,
  segment: Segment,
  image: IndexImage,
  report: (position: number, offset: number, problem: string) => void,
): void {
  const header = new EntryHeader()
  const bytes = new Uint8Array(ENTRY_HEADER_BYTES)
  const view = viewOf(bytes)
  for (let point = 0; point < image.count; point++) {
    const position = image.positions[point]!
    const lsn = image.lsns[point]!
    const count = file.readSync(bytes, position)
    // A header that is not sound has been reported with the store.
    if (count < bytes.length || !header.read(view, 0, segment.id)) continue
    if (header.lsn === lsn) continue
    const at = INDEX_HEADER_BYTES + point * INDEX_POINT_BYTES
    const problem = `the point for offset ${segment.base + lsn} leads to offset ${segment.base + header.lsn}`
    report(at, segment.base + lsn, problem)
  }
}
