/** What Next does on step 8: the tenant's CA (key in the token), the DAE, and the proof that devices get that CA from it. */
import { X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { utcNow } from '../../../lib/database/pool.ts'
import { AppError } from '../../../lib/errors/app-error.ts'
import { serviceAddress } from '../../deploy/addresses.ts'
import type { ApplyContext } from '../apply-context.ts'
import { topicsOf } from '../kafka/answers.ts'
import { issuedByKms, serviceBase } from '../service-plan.ts'
import { askDeployed } from '../service-proof.ts'
import type { ApplyResult } from '../step.ts'
import type { DaeAnswers } from './answers.ts'
import { certificatesOf } from './certs-only.ts'

export async function applyDae(answers: DaeAnswers, context: ApplyContext): Promise<ApplyResult> {
  const { tenant } = z.object({ tenant: z.string() }).parse(await context.answersOf('account'))
  context.report(`Device CA of ${tenant} in the key store`)
  const ca = await context.effect('certificate-authority', `tenant/${tenant}`, () => tenantCa(answers, tenant, context))
  await context.effect('service', 'dae', async () => {
    await context.deploy.deploy(
      { name: 'dae', config: await daeConfiguration(answers, tenant, context) },
      context.report
    )
  })
  context.report('DAE: the CA certificates that devices get')
  await proveCaCertificates(answers, ca, context)
  return {}
}

async function tenantCa(answers: DaeAnswers, tenant: string, context: ApplyContext): Promise<X509Certificate> {
  const kms = await context.kms()
  const { keyId, certificate: pem } = await kms.createTenantCa({
    tenant,
    subject: subjectOf(answers, tenant),
    algorithm: answers.caKey,
    days: answers.caDays
  })
  const certificate = new X509Certificate(pem)
  await context.database.execute(
    `INSERT INTO certificate_authorities (key_id, tenant, certificate, device_days, created_at) VALUES (?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE device_days = VALUES(device_days)`,
    [keyId, tenant, certificate.raw, answers.deviceDays, utcNow()]
  )
  return certificate
}

function subjectOf({ caSubject }: DaeAnswers, tenant: string): string {
  return caSubject ?? `CN=${tenant} Device CA`
}

const memcachedValues = z.object({ servers: z.array(z.string()), prefix: z.string().default('') })
const kafkaValues = z.object({ topicPrefix: z.string() })

async function daeConfiguration(answers: DaeAnswers, tenant: string, context: ApplyContext) {
  const wanted = { service: 'dae', address: answers.daeHost, given: answers, calls: ['kms'] } as const
  const base = await serviceBase(context, wanted, issuedByKms(context, 'dae'))
  const { kmsHost } = z.object({ kmsHost: z.string() }).parse(await context.answersOf('kms'))
  const { topicPrefix } = kafkaValues.parse(await context.answersOf('kafka'))
  return {
    ...base,
    kms: { address: serviceAddress('kms', kmsHost).address },
    tenant,
    memcached: memcachedValues.parse(await context.answersOf('memcached')),
    deviceTopic: topicsOf(topicPrefix).deviceTopic,
    estLabel: answers.estLabel ?? ''
  }
}

/** As a device would ask: RFC 7030 4.1, the answer is base64 whatever its header says (RFC 8951). */
async function proveCaCertificates({ estLabel }: DaeAnswers, ca: X509Certificate, { stateDir }: ApplyContext) {
  const path = `/.well-known/est${estLabel === undefined ? '' : `/${estLabel}`}/cacerts`
  const { body } = await askDeployed(stateDir, 'dae', { method: 'GET', path })
  const found = certificatesOf(Buffer.from(body.toString('latin1'), 'base64'))
  const same = found.some((certificate) => certificate.raw.equals(ca.raw))
  if (!same || !ca.verify(ca.publicKey)) {
    throw new AppError('deploy-failed', `The DAE does not hand out the CA of this install at ${path}.`)
  }
}
