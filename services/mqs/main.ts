/** Message Queue Service: relays the transactional outbox to Kafka. */
import { runService } from '../../lib/service/service.ts'
import { mqsConfig } from './config.ts'
import { startMqs } from './start.ts'

await runService({ name: 'mqs', title: 'Message Queue Service', config: mqsConfig, start: startMqs })
