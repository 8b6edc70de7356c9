import { readFile } from 'node:fs/promises'
// Nothing here uses it by this name: so it is loaded before the service's turn comes, with all the rest (standby.ts).
import 'kafkajs'
import type { Pool } from 'mysql2/promise'
import { type Broker, openBroker } from '../../lib/broker/broker.ts'
import { messageOf } from '../../lib/errors/app-error.ts'
import { within } from '../../lib/process/within.ts'
import type { Readiness, RunningService, Service } from '../../lib/service/service.ts'
import { secretFrom } from '../../lib/service/service.ts'
import { registerApi } from './api.ts'
import type { MqsConfig } from './config.ts'
import { openOutbox } from './outbox.ts'
import { type Relay, startRelay } from './relay.ts'

/** Whoever asks how we are waits two seconds at most. */
const partMs = 1500
/** kafkajs may wait long for a broker that is gone. */
const closeMs = 1000

export async function startMqs({ config, app, database, log, metrics }: Service<MqsConfig>): Promise<RunningService> {
  const { kafka } = config
  const broker = openBroker({
    ...kafka,
    clientId: 'keyscaler-mqs',
    password:
      kafka.passwordFile === undefined ? undefined : (await secretFrom(kafka.passwordFile)).replace(/\r?\n$/, ''),
    ca: kafka.ca === undefined ? undefined : await readFile(kafka.ca, 'utf8')
  })
  const outbox = openOutbox(database)
  const relay = startRelay({ database, broker, outbox, log, metrics })
  registerApi(app, { outbox, relay, probeTopic: config.probeTopic })

  return {
    ready: () => readiness(database, broker, relay),
    close: async () => {
      await relay.stop()
      await within(closeMs, 'leaving the broker', broker.close).catch(() => {})
    }
  }
}

/** Relaying is all that the MQS is for: without the broker it is not ready, though no event is lost and no enrolment stops. */
async function readiness(database: Pool, broker: Broker, relay: Relay): Promise<Readiness> {
  const [data, kafka] = await Promise.all([
    within(partMs, 'database', () => database.query('SELECT 1')).then(
      () => ({ ok: true, detail: 'answers' }),
      () => ({ ok: false, detail: 'does not answer' })
    ),
    within(partMs, 'broker', broker.metadata).then(
      () => kafkaPart(relay),
      (thrown: unknown) => ({ ok: false, detail: `events wait in the outbox: ${messageOf(thrown)}` })
    )
  ])
  return { ready: data.ok && kafka.ok, parts: { database: data, kafka } }
}

function kafkaPart(relay: Relay): Readiness['parts'][string] {
  const { role, problem, lastPassAt } = relay.state()
  if (problem !== null) return { ok: false, detail: `events wait in the outbox: ${problem}` }
  if (role === 'standby') return { ok: true, detail: 'another relay has the lease' }
  return { ok: true, detail: lastPassAt === null ? 'answers' : `answers; last pass at ${lastPassAt}` }
}
