/** Device Authority Engine: registrations, and EST enrolment (RFC 7030). */
import { runService } from '../../lib/service/service.ts'
import { daeConfig } from './config.ts'
import { startDae } from './start.ts'

await runService({ name: 'dae', title: 'Device Authority Engine', config: daeConfig, start: startDae })
