// What the rows of the map are filled with: keys of 16 bytes and values of 100, as text.
import { text } from '../dist/index.js'

const VALUE = 'v'.repeat(90)

export const keyOf = (i) => `key:${String(i).padStart(12, '0')}`
export const textOf = (i) => `${String(i % 1e10).padStart(10, '0')}${VALUE}`
export const mapOptions = { values: text, snapshot: false }

/** Sets so many keys, a thousand in a command. */
export async function fill(map, count, { key = keyOf, value = textOf } = {}) {
  const setting = []
  for (let i = 0; i < count; i += 1000) {
    const many = Array.from({ length: Math.min(1000, count - i) }, (_, k) => [
      key(i + k),
      value(i + k),
    ])
    setting.push(map.setMany(many))
    if (setting.length === 16) await Promise.all(setting.splice(0))
  }
  await Promise.all(setting)
}
