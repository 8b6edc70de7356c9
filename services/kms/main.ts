import { runService } from '../../lib/service/service.ts'
import { kmsConfig } from './config.ts'
import { startKms } from './start.ts'

await runService({ name: 'kms', title: 'Key Management Service', config: kmsConfig, start: startKms })
