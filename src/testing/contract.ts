import { describe } from 'node:test'
import { appendContract } from './contract/append.ts'
import { closeContract } from './contract/close.ts'
import { followContract } from './contract/follow.ts'
import { readContract } from './contract/read.ts'
import { refusalContract } from './contract/refusals.ts'
import { reopenContract } from './contract/reopen.ts'
import { seekContract } from './contract/seek.ts'
import { snapshotContract } from './contract/snapshots.ts'
import { type ContractOptions, ContractSuite } from './contract/suite.ts'
import { trimContract } from './contract/trim.ts'

/**
 * Registers tests with `node:test` that hold for every `CommitLog`, whatever lies behind it. They assume
 * no more than the interface says: offsets may have gaps except within a batch, and the first need not
 * be 0.
 *
 * Throws INVALID_ARGUMENT if a part is skipped without a reason.
 */
export function commitLogContract(options: ContractOptions): void {
  const suite = new ContractSuite(options)
  describe(`${options.name} keeps the contract of a commit log`, () => {
    describe('append', () => appendContract(suite))
    describe('refusals', () => refusalContract(suite))
    describe('read', () => readContract(suite))
    describe('seek by time', () => seekContract(suite))
    describe('follow', () => followContract(suite))
    describe('trim', () => trimContract(suite))
    describe('snapshots', () => snapshotContract(suite))
    describe('close', () => closeContract(suite))
    describe('reopen', () => reopenContract(suite))
  })
}
