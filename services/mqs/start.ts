import { readFile } from 'node:fs/promises'
import { openBroker } from '../../lib/broker/broker.ts'
import type { RunningService, Service } from '../../lib/service/service.ts'
import { secretFrom } from '../../lib/service/service.ts'
import type { MqsConfig } from '../catalog.ts'
import { registerApi } from './api.ts'
import { openOutbox } from './outbox.ts'
import { startRelay } from './relay.ts'

export async function startMqs({ config, app, database, log, metrics }: Service<MqsConfig>): Promise<RunningService> {
  const { kafka } = config
  const broker = openBroker({
    ...kafka,
    clientId: 'keyscaler-mqs',
    password: kafka.passwordFile === undefined ? undefined : (await secretFrom(kafka.passwordFile)).trimEnd(),
    ca: kafka.ca === undefined ? undefined : await readFile(kafka.ca, 'utf8')
  })
  const outbox = openOutbox(database)
  const relay = await startRelay({ database, broker, log, metrics })
  registerApi(app, { outbox, relay, probeTopic: config.probeTopic })

  return {
    ready: async () => {
      const data = await database.query('SELECT 1').then(
        () => ({ ok: true, detail: 'answers' }),
        () => ({ ok: false, detail: 'does not answer' })
      )
      const { problem, lastPassAt } = relay.state()
      // A broker that is away does not make us unready: events wait in the outbox. It is told.
      const kafkaPart = { ok: true, detail: problem === null ? `relayed at ${lastPassAt}` : `waiting: ${problem}` }
      return { ready: data.ok, parts: { database: data, kafka: kafkaPart } }
    },
    close: async () => {
      await relay.stop()
      await broker.close()
    }
  }
}
