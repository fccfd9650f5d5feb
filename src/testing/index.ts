/// <reference types="node" preserve="true" />
// What programs that use Tidemark need for tests of their own: a file system that forgets, a clock that
// stands still, and the contract that every log keeps.

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
  cloneAll,
  crashImage,
  errnoError,
  extremeImages,
  type FileDelay,
  type FileFault,
  type FileOp,
  type FileOpKind,
  ForgetfulFiles,
  type ForgetfulOptions,
  ManualClock,
} from '../simulation/index.ts'
export type {
  ContractLog,
  ContractOptions,
  ContractSkips,
  OptionalPart,
} from './contract/suite.ts'
export { commitLogContract } from './contract.ts'
