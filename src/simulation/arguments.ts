import { TidemarkError } from '../base/index.ts'

/** Returns `value`, or throws INVALID_ARGUMENT if it is no finite number. */
export function requireFinite(value: number, name: string): number {
  if (!Number.isFinite(value)) throw invalid(`${name} must be a finite number, but is ${value}`)
  return value
}

/** Returns `value`, or throws INVALID_ARGUMENT if it is negative or no finite number. */
export function requireNotNegative(value: number, name: string): number {
  if (requireFinite(value, name) < 0) throw invalid(`${name} must not be negative, but is ${value}`)
  return value
}

export function invalid(message: string): TidemarkError {
  return new TidemarkError('INVALID_ARGUMENT', message)
}
