// What the benchmark uses of Tidemark: the built library, and below it the formats, to make the files of
// a large log without writing all of it.
export { Log } from '../dist/index.js'
export { nodeFiles, seededRandom } from '../dist/io/index.js'
export { encodeIndex } from '../dist/log/index-format.js'
export { encodeMeta } from '../dist/log/meta-format.js'
export { indexName, META_NAME, storeName } from '../dist/log/names.js'
export { encodeSegmentHeader } from '../dist/log/segment-format.js'
export { DurableMap } from '../dist/machine/index.js'
export { membersOf, RaftCore } from '../dist/quorum/core/index.js'
export { Member } from '../dist/quorum/index.js'
