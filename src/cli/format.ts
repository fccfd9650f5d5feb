// How numbers look to people. Programs get them from --json.

/** 1234567 -> 1,234,567 */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** `1 entry`, `2 entries` */
export function counted(value: number, one: string, many: string): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const

/** 1234567 -> 1.2 MiB */
export function size(bytes: number): string {
  if (bytes < 1024) return counted(bytes, 'byte', 'bytes')
  let value = bytes / 1024
  let unit = 0
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${value.toFixed(1)} ${UNITS[unit]}`
}

/** 1234 ms -> 1.23 s */
export function seconds(ms: number): string {
  const value = ms / 1000
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : count(value)} s`
}

/** Lines of `name  value` with the values in one column. */
export function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('')
}
