/// <reference types="node" preserve="true" />
// What programs that use Tidemark need for tests of their own: a file system that forgets, a clock that
// stands still, time and a network for many members in one process, and the contract that every log keeps.

export {
  type Cancel,
  type Clock,
  type File,
  type FileLock,
  type FileMode,
  type Files,
  type LockHolder,
  type Random,
  seededRandom,
} from '../io/index.ts'
export {
  type CrashImage,
  type Cut,
  cloneAll,
  crashImage,
  cutBetween,
  cutButOne,
  cutButRing,
  Draws,
  drawCut,
  drawNetwork,
  errnoError,
  extremeImages,
  FAULTLESS_NETWORK,
  type FileDelay,
  type FileFault,
  type FileOp,
  type FileOpKind,
  ForgetfulFiles,
  type ForgetfulOptions,
  ManualClock,
  type MemberClockOptions,
  memberClock,
  type NetworkFaults,
  type NetworkOptions,
  type NetworkParameters,
  networkStorm,
  PARTITION_SHAPES,
  type PartitionShape,
  type Receive,
  type SimulatedClock,
  SimulatedNetwork,
  SimulatedTime,
  type StormyNetwork,
} from '../simulation/index.ts'
export type {
  ContractLog,
  ContractOptions,
  ContractSkips,
  OptionalPart,
} from './contract/suite.ts'
export { commitLogContract } from './contract.ts'
