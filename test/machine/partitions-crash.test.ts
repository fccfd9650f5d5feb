// The making of partitions is interrupted at every operation, by the end of the process and by every extreme
// loss of power: what is left must open again with the same number.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PartitionedLog } from 'tidemark/machine'
import {
  type CrashImage,
  cloneAll,
  crashImage,
  extremeImages,
  ForgetfulFiles,
  seededRandom,
} from 'tidemark/testing'
import { caseCount, casesOf } from '../cases.ts'
import { assertCode, textsOf } from '../log/fixtures.ts'

const FOLDER = '/data'
const PARTITIONS = 3
/** After a kill, the power is lost at one of so many operations: all of each would take minutes. */
const STRIDE = caseCount(23, 89)

function openOn(files: ForgetfulFiles, partitions?: number): Promise<PartitionedLog> {
  return PartitionedLog.open(FOLDER, { files, ...(partitions && { partitions }) })
}

/** Opens a partitioned log on `files` and appends to it; what `take` finds before each operation. */
async function imagesOf(
  files: ForgetfulFiles,
  take: (operation: number) => CrashImage[],
): Promise<CrashImage[]> {
  const images: CrashImage[] = []
  let operation = 0
  files.onOperation = () => images.push(...take(operation++))
  const log = await openOn(files, PARTITIONS)
  await log.append('a', 'x')
  files.onOperation = undefined
  await log.close()
  return images
}

/** What the end of the process leaves before each operation of the making. */
async function killedFiles(): Promise<ForgetfulFiles[]> {
  const files = new ForgetfulFiles()
  const killed: ForgetfulFiles[] = []
  await imagesOf(files, () => {
    killed.push(cloneAll(files))
    return []
  })
  assert(killed.length > 30)
  return killed
}

/** What was begun is finished with the same number, also if nobody says it. */
async function checkImage(image: CrashImage): Promise<void> {
  const unsaid = cloneAll(image.files)
  const found = await openOn(unsaid).catch((error) => {
    assert.equal(error.code, 'NOT_FOUND', error)
    return undefined
  })
  if (found) {
    assert.equal(found.partitions.length, PARTITIONS)
    await found.close()
    await assertCode('INVALID_ARGUMENT', openOn(unsaid, PARTITIONS + 1))
  }
  const log = await openOn(image.files, PARTITIONS)
  assert.equal(log.partitions.length, PARTITIONS)
  const there = await textsOf(log.partition(log.partitionFor('a')))
  assert(
    there.every((entry) => entry === 'x'),
    there.join(),
  )
  await log.append('a', 'y')
  assert.deepEqual(await textsOf(log.partition(log.partitionFor('a'))), [...there, 'y'])
  await log.close()
  const reader = await PartitionedLog.open(FOLDER, { files: image.files, mode: 'read' })
  assert.equal(reader.partitions.length, PARTITIONS)
  await reader.close()
}

/** Each image once. */
function different(images: readonly CrashImage[]): CrashImage[] {
  return [...new Map(images.map((image) => [image.fingerprint, image])).values()]
}

describe('the making of partitions', () => {
  it('is finished after a loss of power at any moment', async (t) => {
    const files = new ForgetfulFiles()
    const random = seededRandom(1)
    const all = await imagesOf(files, () => [
      ...extremeImages(files, 40),
      crashImage(files, random),
      crashImage(files, random),
    ])
    const images = different(all)
    t.diagnostic(`${images.length} images`)
    assert(images.length > 100)
    for (const image of casesOf(images, 4)) await checkImage(image)
  })

  it('is finished after the end of the process at any moment, and a loss of power then', async (t) => {
    const images: CrashImage[] = []
    for (const [number, files] of (await killedFiles()).entries()) {
      const random = seededRandom(number)
      const found = await imagesOf(files, (operation) => {
        if ((operation + number) % STRIDE !== 0) return []
        return [extremeImages(files, 1)[0], crashImage(files, random)]
      })
      images.push(...found)
    }
    t.diagnostic(`${different(images).length} images`)
    for (const image of different(images)) await checkImage(image)
  })

  it('loses nothing that was acknowledged after a process was killed in it', async () => {
    for (const files of casesOf(await killedFiles(), 4)) {
      const log = await openOn(files, PARTITIONS)
      const { partition, offset } = await log.append('b', 'acknowledged')
      for (const image of extremeImages(files, 1)) {
        const again = await openOn(image.files)
        const entry = await again.partition(partition).get(offset)
        assert.equal(entry?.data.toString(), 'acknowledged', image.kind)
        await again.close()
      }
      await log.close()
    }
  })
})
