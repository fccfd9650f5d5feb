/// <reference types="node" preserve="true" />
export { type ErrorCode, type ErrorDetails, InvariantError, TidemarkError } from './base/index.ts'
export * from './log/index.ts'
