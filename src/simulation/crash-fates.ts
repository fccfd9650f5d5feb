import type { Random } from '../io/index.ts'
import { applyChange, type Content, type FileChange, type FileNode } from './forgetful-content.ts'

// What becomes of the unsynced changes of one file in a crash.
//
// A disk writes a sector whole or not at all; beyond that nothing is promised. So each sector of each
// write survives or not, whatever becomes of the rest, and the length of the file may have grown for a
// write whose bytes are lost: they read as zeros then. What survives is applied in the order in which
// it was made, since an older page never overwrites a newer one.
//
// This allows more than a page cache does in one respect: of two writes to one sector the later may
// survive alone, as it can where byte ranges travel (network file systems, persistent memory).

/** What a disk writes in one step; torn writes end at a multiple of it, counted in the file. */
export const SECTOR_BYTES = 512

/** Decides for one file. Sectors are counted from the first that a write touches. */
export interface FileFate {
  /** Whether a sector of a write survives; for a truncation (`sector` is 0), whether it does. */
  survives(change: FileChange, index: number, sector: number): boolean
  /** How many sectors of a write of `sectors` the file's length covers, even if their bytes are lost. */
  lengthOf(change: FileChange, index: number, sectors: number): number
}

/** What a crash did to a file or a folder, as bits. */
export const LOSS = {
  /** Something unsynced survived. */
  kept: 1,
  /** Something unsynced was lost. */
  lost: 2,
  /** Something survived although an earlier change of the same file or folder was lost. */
  reordered: 4,
  /** A write survived in part. */
  torn: 8,
  /** The file grew without the bytes. */
  sizeOnly: 16,
  /** A name was not made, not moved, or not removed. */
  name: 32,
  /** Bytes of a failed datasync were lost. */
  doomed: 64,
} as const

/** What is left of a file, and which {@link LOSS} bits describe it. */
export interface Remains {
  readonly content: Content
  readonly loss: number
}

const always = () => true
const never = () => false
const noSectors = () => 0

export const KEEP_ALL: FileFate = { survives: always, lengthOf: noSectors }
export const LOSE_ALL: FileFate = { survives: never, lengthOf: noSectors }

/** Applies a fate to the changes of a file. */
export function remainsOf(node: FileNode, fate: FileFate): Remains {
  const { changes } = node
  if (changes.length === 0) return { content: snapshot(node.durable), loss: 0 }
  if (fate === KEEP_ALL) return { content: snapshot(node.content), loss: lossOfNone(node) }
  const content = node.durable.share()
  let loss = 0
  for (let index = 0; index < changes.length; index++) {
    const change = changes[index]!
    if (change.state === 'synced') {
      applyChange(content, change)
      continue
    }
    const outcome = change.bytes
      ? writeRemains(content, change, change.bytes, index, fate)
      : truncationRemains(content, change, index, fate)
    if (outcome & LOSS.kept && loss & LOSS.lost) loss |= LOSS.reordered
    if (outcome & LOSS.lost && change.state === 'doomed') loss |= LOSS.doomed
    loss |= outcome
  }
  if ((loss & LOSS.lost) === 0) return { content: snapshot(node.content), loss }
  return { content: content.array === node.durable.array ? snapshot(node.durable) : content, loss }
}

function lossOfNone({ changes }: FileNode): number {
  return changes.some((change) => change.state !== 'synced') ? LOSS.kept : 0
}

/** A share of `content` that knows its digest, and so spares the next one the work. */
function snapshot(content: Content): Content {
  content.digest()
  return content.share()
}

function truncationRemains(
  content: Content,
  change: FileChange,
  index: number,
  fate: FileFate,
): number {
  if (!fate.survives(change, index, 0)) return LOSS.lost
  content.resize(change.position)
  return LOSS.kept
}

function writeRemains(
  content: Content,
  change: FileChange,
  bytes: Uint8Array,
  index: number,
  fate: FileFate,
): number {
  const start = change.position
  const end = start + bytes.length
  const sectors = sectorsOf(change)
  const first = Math.floor(start / SECTOR_BYTES)
  /** Where the sector with this number begins or, for the number behind the last, where the write ends. */
  const boundary = (sector: number) =>
    Math.min(end, Math.max(start, (first + sector) * SECTOR_BYTES))
  let survivors = 0
  for (let sector = 0; sector < sectors; ) {
    const from = sector
    while (sector < sectors && fate.survives(change, index, sector)) sector++
    if (sector > from) {
      survivors += sector - from
      content.write(
        boundary(from),
        bytes.subarray(boundary(from) - start, boundary(sector) - start),
      )
    }
    // The sector at hand was asked about and is lost, unless the write ends here.
    sector++
  }
  if (survivors === sectors) return LOSS.kept
  let outcome: number = survivors > 0 ? LOSS.kept | LOSS.lost | LOSS.torn : LOSS.lost
  const covered = fate.lengthOf(change, index, sectors)
  if (covered > 0 && boundary(covered) > content.size) {
    content.resize(boundary(covered))
    outcome |= LOSS.sizeOnly
  }
  return outcome
}

/** How many sectors of the file a write touches. */
export function sectorsOf({ position, bytes }: FileChange): number {
  if (!bytes) return 1
  const first = Math.floor(position / SECTOR_BYTES)
  return Math.ceil((position + bytes.length) / SECTOR_BYTES) - first
}

/** True with a probability of `share`. */
export function chance(random: Random, share: number): boolean {
  return random.uint32() < share * 0x1_0000_0000
}

/** A uniformly distributed integer in [0, bound). */
export function below(random: Random, bound: number): number {
  return Math.floor((random.uint32() / 0x1_0000_0000) * bound)
}

/** How likely each change is to survive where each has its own fate: few, about half, most. */
const SURVIVAL = [0.15, 0.5, 0.85]

/** A random fate; every one that the model allows has a chance. */
export function randomFate(node: FileNode, random: Random): FileFate {
  const style = below(random, 16)
  if (style < 2) return KEEP_ALL
  const lengthOf = randomLengths(random)
  if (style < 3) return { survives: never, lengthOf }
  if (style < 7) return { survives: randomPrefix(node, random), lengthOf }
  const share = SURVIVAL[below(random, SURVIVAL.length)]!
  if (style < 13) return { survives: () => chance(random, share), lengthOf }
  return { survives: wholeChanges(random, share), lengthOf }
}

/** Everything up to some sector of some change, and nothing behind: what a disk that writes in order leaves. */
function randomPrefix(node: FileNode, random: Random): FileFate['survives'] {
  const cut = below(random, node.changes.length + 1)
  const change = node.changes[cut]
  const sectors = change && chance(random, 0.5) ? below(random, sectorsOf(change)) : 0
  return (_, index, sector) => index < cut || (index === cut && sector < sectors)
}

/** Each change survives entirely or not at all. */
function wholeChanges(random: Random, share: number): FileFate['survives'] {
  let decided = -1
  let survives = false
  return (_, index) => {
    if (index !== decided) survives = chance(random, share)
    decided = index
    return survives
  }
}

function randomLengths(random: Random): FileFate['lengthOf'] {
  const style = below(random, 8)
  if (style < 4) return noSectors
  if (style < 6) return (_change, _index, sectors) => sectors
  return (_change, _index, sectors) => (chance(random, 0.5) ? below(random, sectors + 1) : 0)
}
