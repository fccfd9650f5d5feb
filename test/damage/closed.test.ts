import { closedLog } from './specimen.ts'
import { damageSuite } from './suite.ts'

damageSuite(closedLog)
