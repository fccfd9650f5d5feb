// Single-bit flips and truncations of a small log: never a wrong entry, never a loss in
// silence, but for the one kind that cannot be told from a torn tail, which is counted.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { caseCount } from '../cases.ts'
import { damaged, examine, isFoundByVerify } from './examine.ts'
import { FOLDER, type Specimen } from './specimen.ts'

interface Tally {
  cases: number
  reported: number
  harmless: number
  /** Losses of the documented kind: in the last group, with marks that do not vouch for it. */
  unwitnessed: number
}

function namesOf(specimen: Specimen): string[] {
  return specimen.files.listSync(FOLDER).filter((name) => name !== 'lock')
}

function sizeOf(specimen: Specimen, name: string): number {
  const file = specimen.files.openSync(`${FOLDER}/${name}`, 'read')
  const size = file.sizeSync()
  file.closeSync()
  return size
}

async function judge(
  specimen: Specimen,
  name: string,
  what: string,
  change: (bytes: Uint8Array) => Uint8Array,
  tally: Tally,
): Promise<void> {
  const files = damaged(specimen, name, change)
  const outcome = await examine(files, specimen)
  const place = `${specimen.name}: ${what} of ${name}`
  tally.cases++
  assert.deepEqual(outcome.wrong, [], `${place}: wrong entries`)
  if (outcome.silent.length > 0) {
    assert.ok(specimen.isUnwitnessed, `${place}: silent loss of ${outcome.silent}`)
    for (const offset of outcome.silent) {
      assert.ok(offset >= specimen.lastGroup, `${place}: silent loss of ${outcome.silent}`)
    }
    tally.unwitnessed++
  } else if (outcome.reported) {
    tally.reported++
    assert.ok(await isFoundByVerify(files), `${place}: reported on reading, but verified as sound`)
  } else {
    tally.harmless++
  }
}

/** `npm run damage` tries all; `npm test` some, so that each place in a byte has its turn. */
const STRIDE = caseCount(1, 23)
const SHARE = STRIDE === 1 ? 'every' : `every ${STRIDE}rd`

async function flipEveryBit(specimen: Specimen): Promise<Tally> {
  const tally = { cases: 0, reported: 0, harmless: 0, unwitnessed: 0 }
  for (const name of namesOf(specimen)) {
    const bits = sizeOf(specimen, name) * 8
    for (let bit = 0; bit < bits; bit += STRIDE) {
      const flip = (bytes: Uint8Array) => {
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        return bytes
      }
      await judge(specimen, name, `flip of bit ${bit}`, flip, tally)
    }
  }
  return tally
}

async function cutEveryLength(specimen: Specimen): Promise<Tally> {
  const tally = { cases: 0, reported: 0, harmless: 0, unwitnessed: 0 }
  for (const name of namesOf(specimen)) {
    for (let size = sizeOf(specimen, name) - 1; size >= 0; size -= STRIDE) {
      const cut = (bytes: Uint8Array) => bytes.subarray(0, size)
      await judge(specimen, name, `truncation to ${size} bytes`, cut, tally)
    }
  }
  return tally
}

/** Registers the tests of one specimen. Each has a file of its own, so that they run side by side. */
export function damageSuite(make: () => Promise<Specimen>): void {
  describe('damage', () => {
    it('is never a wrong entry or a silent loss, whichever bit flips', async (t) => {
      const specimen = await make()
      const tally = await flipEveryBit(specimen)
      t.diagnostic(`${specimen.name}, ${SHARE} bit: ${JSON.stringify(tally)}`)
      assert.ok(tally.cases > 12_000 / STRIDE && tally.reported > 8000 / STRIDE)
    })

    it('is never a wrong entry or a silent loss, wherever a file ends', async (t) => {
      const specimen = await make()
      const tally = await cutEveryLength(specimen)
      t.diagnostic(`${specimen.name}, ${SHARE} truncation: ${JSON.stringify(tally)}`)
      assert.ok(tally.cases > 1500 / STRIDE && tally.reported > 1000 / STRIDE)
    })

    it('is reported when a file is gone', async () => {
      const specimen = await make()
      for (const name of namesOf(specimen)) {
        const files = damaged(specimen, name, (bytes) => bytes)
        files.removeSync(`${FOLDER}/${name}`)
        const { wrong, silent, reported } = await examine(files, specimen)
        assert.deepEqual({ wrong, silent }, { wrong: [], silent: [] }, `${name} removed`)
        if (name.endsWith('.store') || name === 'meta') assert.ok(reported, `${name} removed`)
      }
    })
  })
}
