// What programs that use Tidemark need for tests of their own: a file system that forgets, a clock that
// stands still, and the contract that every log keeps.

export {
  type Cancel,
  type Clock,
  type CrashImage,
  cloneAll,
  crashImage,
  errnoError,
  extremeImages,
  type File,
  type FileDelay,
  type FileFault,
  type FileLock,
  type FileMode,
  type FileOp,
  type FileOpKind,
  type Files,
  ForgetfulFiles,
  type ForgetfulOptions,
  type LockHolder,
  ManualClock,
  type Random,
  seededRandom,
} from '../io/index.ts'
export type {
  ContractLog,
  ContractOptions,
  ContractSkips,
  OptionalPart,
} from './contract/suite.ts'
export { commitLogContract } from './contract.ts'
