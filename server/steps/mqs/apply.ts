/** What Next does on step 9: the MQS, and the proof that an event travels from the outbox to Kafka. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { writePrivateFile } from '../../../lib/config/private-file.ts'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { ApplyContext } from '../apply-context.ts'
import { topicsOf } from '../kafka/answers.ts'
import { issuedByKms, serviceBase } from '../service-plan.ts'
import { askDeployed, jsonOf } from '../service-proof.ts'
import type { ApplyResult } from '../step.ts'
import type { MqsAnswers } from './answers.ts'

export async function applyMqs(answers: MqsAnswers, context: ApplyContext): Promise<ApplyResult> {
  await context.effect('service', 'mqs', async () => {
    await context.deploy.deploy({ name: 'mqs', config: await mqsConfiguration(answers, context) }, context.report)
  })
  context.report('MQS: a probe event on its way from the outbox to Kafka')
  await proveDelivery(context.stateDir)
  return {}
}

const kafkaValues = z.object({
  brokers: z.array(z.string()),
  security: z.enum(['PLAINTEXT', 'SSL', 'SASL_SSL']),
  mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
  username: z.string().optional(),
  ca: z.string().optional(),
  topicPrefix: z.string()
})

async function mqsConfiguration(answers: MqsAnswers, context: ApplyContext) {
  const wanted = { service: 'mqs', address: answers.mqsHost, given: answers, calls: [] } as const
  const base = await serviceBase(context, wanted, issuedByKms(context, 'mqs'))
  const { ca, topicPrefix, ...kafka } = kafkaValues.parse(await context.answersOf('kafka'))
  const passwordFile = await context.secretFile('kafka', 'password')
  const caFile = join(context.stateDir, 'tls', 'kafka-ca.crt')
  if (ca !== undefined) await writePrivateFile(caFile, ca)
  return {
    ...base,
    kafka: {
      ...kafka,
      ...(passwordFile === undefined ? {} : { passwordFile }),
      ...(ca === undefined ? {} : { ca: caFile })
    },
    ...topicsOf(topicPrefix)
  }
}

const withinMs = 10_000
const askEveryMs = 30
const probe = z.object({ eventId: z.string() })
const event = z.object({ publishedAt: z.string().nullable() })
const lag = z.object({ problem: z.string().nullable().optional() })

/** At least once is the promise; published means that the broker has acknowledged it. */
async function proveDelivery(stateDir: string): Promise<void> {
  const written = await askDeployed(stateDir, 'mqs', { method: 'POST', path: '/api/v1/probe-events' })
  const { eventId } = probe.parse(jsonOf(written))
  const until = performance.now() + withinMs
  while (performance.now() < until) {
    const asked = await askDeployed(stateDir, 'mqs', { method: 'GET', path: `/api/v1/events/${eventId}` })
    if (event.parse(jsonOf(asked)).publishedAt !== null) return
    await delay(askEveryMs)
  }
  const { problem } = lag.parse(jsonOf(await askDeployed(stateDir, 'mqs', { method: 'GET', path: '/api/v1/lag' })))
  throw new AppError('deploy-failed', `Event ${eventId} was not delivered${problem ? ` (${problem})` : ''}.`, {
    cure: 'Run the check of the Apache Kafka step; the event waits in the outbox and is sent when the brokers answer.'
  })
}
