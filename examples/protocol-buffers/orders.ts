// Entries as Protocol Buffers, which stay readable when fields are added. order_pb.ts was made from
// order.proto, with protoc and the packages @bufbuild/protobuf and @bufbuild/protoc-gen-es, by
//   protoc --plugin=node_modules/.bin/protoc-gen-es --es_out=. \
//     --es_opt=target=ts,import_extension=ts order.proto
// To run it: node build/examples/protocol-buffers/orders.js ./orders
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { type Codec, Log } from 'tidemark'
import { type Order, OrderSchema } from './order_pb.ts'

const orderCodec: Codec<Order> = {
  encode: (order) => toBinary(OrderSchema, order),
  decode: (bytes) => fromBinary(OrderSchema, bytes),
}

/** What an order costs, in cents. */
function total(order: Order): bigint {
  return order.items.reduce((sum, { quantity, price }) => sum + BigInt(quantity) * price, 0n)
}

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'orders-'))
const log = await Log.open(folder, { codec: orderCodec })

await log.appendBatch([
  create(OrderSchema, {
    id: 'o-1',
    customer: 'ada',
    items: [
      { article: 'chart', quantity: 2, price: 1250n },
      { article: 'compass', quantity: 1, price: 8900n },
    ],
  }),
  create(OrderSchema, { id: 'o-2', customer: 'grace', items: [] }),
])

for await (const { offset, data: order } of log.read()) {
  const { id, customer, items } = order
  console.log(`${offset}: ${id} of ${customer}, ${items.length} items, ${total(order)} cents`)
}
await log.close()
