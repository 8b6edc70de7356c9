import { type AgentAhead, agentAhead } from '../../lib/keystore/agent-ahead.ts'
import { runService } from '../../lib/service/service.ts'
import { kmsConfig } from './config.ts'
import { startKms } from './start.ts'

let agent: AgentAhead | undefined

await runService({
  name: 'kms',
  title: 'Key Management Service',
  config: kmsConfig,
  // A child too has its code loaded before its turn.
  ahead: () => {
    agent = agentAhead()
  },
  start: (service) => startKms(service, agent)
})
