/// <reference types="node" preserve="true" />
// State that is built from a log: `tidemark/machine`.
export {}
