import { hash } from 'node:crypto'
import type { Random } from '../io/index.ts'
import {
  below,
  chance,
  type FileFate,
  KEEP_ALL,
  LOSE_ALL,
  LOSS,
  randomFate,
  remainsOf,
  sectorsOf,
} from './crash-fates.ts'
import { FileNode } from './forgetful-content.ts'
import {
  applyNameChange,
  Disk,
  FolderNode,
  type NameChange,
  Places,
  type TreeNode,
} from './forgetful-disk.ts'
import { ForgetfulFiles } from './forgetful-files.ts'

/** One state in which a crash could leave a file system. */
export interface CrashImage {
  /** The file system after the crash: everything in it is durable, nobody holds a lock. */
  readonly files: ForgetfulFiles
  /** 52 bits of a hash over all paths and contents: equal for equal images, and only for those. */
  readonly fingerprint: number
  /**
   * What the crash did, for statistics: `nothing unsynced`, `all kept`, or which of these apply, joined
   * by `, `: `all lost`; `prefix` (in each file and among the names, all losses are behind what
   * survived); `reordered`; `torn write`; `size without data`; `name lost`; `failed sync lost`.
   */
  readonly kind: string
}

/** Whether a change of a name survives. */
type NameFate = (change: NameChange, index: number) => boolean

/** A random image of what a crash now could leave: a pure function of the state and of `random`. */
export function crashImage(files: ForgetfulFiles, random: Random): CrashImage {
  const names = randomNameFate(files.disk, random)
  return imageOf(files.disk, (node) => randomFate(node, random), names)
}

/** The most images that {@link extremeImages} makes of one state unless it is told otherwise. */
const EXTREME_IMAGES_MAX = 256

/**
 * The images at the edges of what a crash now could leave, each once: everything unsynced lost;
 * everything kept; only bytes, only names, and only names and lengths kept; every state that the file
 * system went through since; each unsynced change lost alone; each file and the names cut off after
 * each of their changes, the rest being kept; the first or the last sector of a write lost alone.
 *
 * If there are more than `limit`, the first five and an evenly spaced choice of the others.
 */
export function extremeImages(files: ForgetfulFiles, limit = EXTREME_IMAGES_MAX): CrashImage[] {
  const { disk } = files
  const images = new Map<number, CrashImage>()
  const add = ({ file, name }: Extreme): void => {
    const image = imageOf(disk, (node) => file(node), name)
    if (!images.has(image.fingerprint)) images.set(image.fingerprint, image)
  }
  for (const extreme of ALWAYS) add(extreme)
  const others = extremesOf(disk)
  const stride = Math.max(1, others.length / Math.max(1, limit - ALWAYS.length))
  for (let at = 0; at < others.length; at += stride) add(others[Math.floor(at)]!)
  return [...images.values()]
}

/**
 * What the end of the process alone leaves (`kill -9`): the cache of the operating system survives, so
 * everything is there, and what was unsynced still is. Nobody holds a lock.
 */
export function cloneAll(files: ForgetfulFiles): ForgetfulFiles {
  return new ForgetfulFiles({}, files.disk.clone())
}

interface Extreme {
  readonly file: (node: FileNode) => FileFate
  readonly name: NameFate
}

const keepFile = () => KEEP_ALL
const loseFile = () => LOSE_ALL
const keepName = () => true
const loseName = () => false
const GROW_ONLY: FileFate = {
  survives: () => false,
  lengthOf: (_change, _index, sectors) => sectors,
}

const ALWAYS: readonly Extreme[] = [
  { file: loseFile, name: loseName },
  { file: keepFile, name: keepName },
  { file: keepFile, name: loseName },
  { file: loseFile, name: keepName },
  { file: () => GROW_ONLY, name: keepName },
]

function extremesOf(disk: Disk): Extreme[] {
  const extremes: Extreme[] = []
  const moments: number[] = []
  for (const node of reachableFiles(disk)) {
    const only = (fate: FileFate) => (each: FileNode) => (each === node ? fate : KEEP_ALL)
    node.changes.forEach((change, index) => {
      if (change.state === 'synced') return
      moments.push(change.at)
      const fates = [fateWhere((_, each) => each !== index), fateWhere((_, each) => each < index)]
      const last = sectorsOf(change) - 1
      if (last > 0) {
        fates.push(fateWhere((_, each, sector) => each !== index || sector !== 0))
        fates.push(fateWhere((_, each, sector) => each !== index || sector !== last))
      }
      for (const fate of fates) extremes.push({ file: only(fate), name: keepName })
    })
  }
  disk.nameChanges.forEach((change, index) => {
    if (change.synced) return
    moments.push(change.at)
    extremes.push({ file: keepFile, name: (_, each) => each !== index })
    extremes.push({ file: keepFile, name: (_, each) => each < index })
  })
  for (const moment of moments) {
    const fate = fateWhere((change) => change.at < moment)
    extremes.push({ file: () => fate, name: (change) => change.at < moment })
  }
  return extremes
}

function fateWhere(survives: FileFate['survives']): FileFate {
  return { survives, lengthOf: () => 0 }
}

/** The files that have a name now or could have one after a crash. */
function reachableFiles(disk: Disk): Set<FileNode> {
  const files = new Set<FileNode>()
  const seen = new Set<TreeNode>()
  const visit = (node: TreeNode): void => {
    if (seen.has(node)) return
    seen.add(node)
    if (node.kind === 'file') {
      files.add(node)
      return
    }
    for (const child of node.entries.values()) visit(child)
    for (const child of node.durable.values()) visit(child)
  }
  visit(disk.root)
  for (const change of disk.nameChanges) visit(change.node)
  return files
}

/**
 * A journal makes the survivors a prefix, in the whole file system or in each folder; POSIX promises
 * neither, so any of them may survive.
 */
function randomNameFate(disk: Disk, random: Random): NameFate {
  const style = below(random, 16)
  if (style < 7) return keepName
  if (style < 8) return loseName
  if (style < 11) {
    const cut = below(random, disk.nameChanges.length + 1)
    return (_, index) => index < cut
  }
  if (style < 13) {
    const cutOff = new Set<FolderNode>()
    return ({ from, to }) => {
      const folder = (to ?? from)!.folder
      if (!cutOff.has(folder) && chance(random, 0.3)) cutOff.add(folder)
      return !cutOff.has(folder)
    }
  }
  const share = [0.2, 0.5, 0.8][below(random, 3)]!
  return () => chance(random, share)
}

/** Builds the image in which the given changes survive. */
function imageOf(disk: Disk, fateOf: (node: FileNode) => FileFate, name: NameFate): CrashImage {
  const { namesOf, loss: nameLoss } = namesAfter(disk, name)
  const parts: string[] = []
  /** A file that has several names is one file after the crash too. */
  const made = new Map<FileNode, FileNode>()
  let loss = nameLoss
  const remake = (node: FileNode, path: string): FileNode => {
    const known = made.get(node)
    if (known) return known
    const { content, loss: fileLoss } = remainsOf(node, fateOf(node))
    loss |= fileLoss
    const allocated = Math.min(node.allocated, content.size)
    const file = new FileNode(path, content, content.share(), [], allocated)
    made.set(node, file)
    return file
  }
  const build = (folder: FolderNode, path: string): FolderNode => {
    const entries = new Map<string, TreeNode>()
    const copy = new FolderNode(path, entries)
    for (const [name, node] of namesOf(folder)) {
      const childPath = copy.pathOf(name)
      let child: TreeNode
      if (node.kind === 'folder') {
        parts.push(`${childPath}/`)
        child = build(node, childPath)
      } else {
        const file = remake(node, childPath)
        parts.push(`${childPath} ${file.content.digest()}`)
        child = file
      }
      entries.set(name, child)
      copy.durable.set(name, child)
    }
    return copy
  }
  const root = build(disk.root, '/')
  const digest = hash('sha1', parts.sort().join('\0'), 'hex')
  return {
    files: new ForgetfulFiles({}, new Disk(root)),
    fingerprint: Number.parseInt(digest.slice(0, 13), 16),
    kind: kindOf(loss),
  }
}

/** The names in each folder once those changes that survive have been applied in order. */
function namesAfter(disk: Disk, survives: NameFate) {
  const changed = new Map<FolderNode, Map<string, TreeNode>>()
  const namesToChange = (folder: FolderNode): Map<string, TreeNode> => {
    let names = changed.get(folder)
    if (!names) {
      names = new Map(folder.durable)
      changed.set(folder, names)
    }
    return names
  }
  /** What was not made cannot be moved, nor moved on: else it would be found under two names. */
  const left = new Places()
  let isSomeLost = false
  let loss = 0
  disk.nameChanges.forEach((change, index) => {
    if (!change.synced) {
      const { from, to } = change
      if ((from && left.has(from)) || !survives(change, index)) {
        if (to) left.add(to)
        isSomeLost = true
        loss |= LOSS.lost | LOSS.name
        return
      }
      if (to) left.delete(to)
      if (isSomeLost) loss |= LOSS.reordered
      loss |= LOSS.kept
    }
    applyNameChange(change, namesToChange)
  })
  return { namesOf: (folder: FolderNode) => changed.get(folder) ?? folder.durable, loss }
}

const KINDS = new Map<number, string>()

function kindOf(loss: number): string {
  let kind = KINDS.get(loss)
  if (kind === undefined) {
    kind = describe(loss)
    KINDS.set(loss, kind)
  }
  return kind
}

function describe(loss: number): string {
  if ((loss & (LOSS.kept | LOSS.lost | LOSS.sizeOnly)) === 0) return 'nothing unsynced'
  if ((loss & LOSS.lost) === 0) return 'all kept'
  const words: string[] = []
  if ((loss & (LOSS.kept | LOSS.sizeOnly)) === 0) words.push('all lost')
  else if ((loss & (LOSS.reordered | LOSS.torn | LOSS.sizeOnly)) === 0) words.push('prefix')
  if (loss & LOSS.reordered) words.push('reordered')
  if (loss & LOSS.torn) words.push('torn write')
  if (loss & LOSS.sizeOnly) words.push('size without data')
  if (loss & LOSS.name) words.push('name lost')
  if (loss & LOSS.doomed) words.push('failed sync lost')
  return words.join(', ')
}
