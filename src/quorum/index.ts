/// <reference types="node" preserve="true" />
// The public face of the quorum: so far, its core.

export * from './core/index.ts'
