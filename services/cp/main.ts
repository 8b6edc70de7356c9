/** Control Panel: the administrator's pages after setup. */
import { runService } from '../../lib/service/service.ts'
import { cpConfig } from './config.ts'
import { startCp } from './start.ts'

await runService({ name: 'cp', title: 'Control Panel', config: cpConfig, start: startCp })
