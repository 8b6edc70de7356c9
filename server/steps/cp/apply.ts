/** What Next does on step 10: the Control Panel, and the proof that the first administrator can log in. */
import { z } from 'zod'
import { AppError } from '../../../lib/errors/app-error.ts'
import { serviceAddress } from '../../deploy/addresses.ts'
import type { ApplyContext } from '../apply-context.ts'
import { issuedByKms, serviceBase } from '../service-plan.ts'
import { askDeployed } from '../service-proof.ts'
import type { ApplyResult } from '../step.ts'
import type { CpAnswers } from './answers.ts'

export async function applyCp(answers: CpAnswers, context: ApplyContext): Promise<ApplyResult> {
  await context.effect('service', 'cp', async () => {
    await context.deploy.deploy({ name: 'cp', config: await cpConfiguration(answers, context) }, context.report)
  })
  context.report('Control Panel: login page, and the login of the first administrator')
  await proveLogin(context)
  return {}
}

async function cpConfiguration(answers: CpAnswers, context: ApplyContext) {
  const wanted = { service: 'cp', address: answers.cpHost, given: answers, calls: ['kms', 'dae', 'mqs'] } as const
  const base = await serviceBase(context, wanted, issuedByKms(context, 'cp'))
  const { kmsHost } = z.object({ kmsHost: z.string() }).parse(await context.answersOf('kms'))
  const { daeHost } = z.object({ daeHost: z.string() }).parse(await context.answersOf('dae'))
  const { mqsHost } = z.object({ mqsHost: z.string() }).parse(await context.answersOf('mqs'))
  return {
    ...base,
    kms: { address: serviceAddress('kms', kmsHost).address },
    dae: { address: serviceAddress('dae', daeHost).address },
    mqs: { address: serviceAddress('mqs', mqsHost).address }
  }
}

/** The password itself is not kept: the login page is there, and the stored hash is one that the login code verifies. */
async function proveLogin({ stateDir, answersOf }: ApplyContext): Promise<void> {
  const { email } = z.object({ email: z.string() }).parse(await answersOf('account'))
  const page = await askDeployed(stateDir, 'cp', { method: 'GET', path: '/login' })
  if (!/<form[^>]+method="post"/i.test(page.body.toString())) {
    throw new AppError('deploy-failed', 'The Control Panel answers /login without a form to log in.')
  }
  await askDeployed(stateDir, 'cp', { method: 'POST', path: '/api/v1/login-check', body: { email } })
}
