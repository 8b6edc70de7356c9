import type { ApplyContext } from '../apply-context.ts'
import type { ApplyResult } from '../step.ts'
import { drillRecovery } from './recovery-drill.ts'

export async function applyComplete(_answers: object, context: ApplyContext): Promise<ApplyResult> {
  await drillRecovery(context)
  // Before setup is finished: a record that cannot be signed is a step that can be tried again.
  context.report('Signing key of the install record in the key store')
  const { tenant } = await context.answersOf('account')
  const kms = await context.kms()
  await kms.createSigningKey(String(tenant))
  return {}
}
