import { killedLog } from './specimen.ts'
import { damageSuite } from './suite.ts'

damageSuite(() => killedLog('stale'))
