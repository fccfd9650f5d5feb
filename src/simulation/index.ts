export * from './crash-images.ts'
export * from './forgetful-files.ts'
export * from './manual-clock.ts'
