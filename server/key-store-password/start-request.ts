/**
 * How a command asks the wizard that runs to start the KMS: by a file in the state folder, as `keyscaler unlock` does.
 * There is no secret in it; the password is in the credential file by then.
 */
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { readPrivateFile, writePrivateFile } from '../../lib/config/private-file.ts'
import { AppError, errorCodes } from '../../lib/errors/app-error.ts'
import type { DeployTarget, ServiceStatus } from '../deploy/target.ts'

/** Name of the file, for whoever watches the state folder. */
export const startRequest = 'kms-start-request'
const startAnswer = 'kms-start-answer'

const answerSchema = z.strictObject({
  id: z.string(),
  status: z
    .custom<ServiceStatus>((value) => typeof value === 'object' && value !== null && 'state' in value)
    .nullable(),
  error: z.strictObject({ code: z.enum(errorCodes), detail: z.string(), cure: z.string().optional() }).nullable()
})

const lookEveryMs = 100

/** The command's side. @throws what the wizard met; AppError service-unavailable when it does not answer in time */
export async function askWizardToStart(stateDir: string, withinMs: number): Promise<ServiceStatus> {
  const id = randomUUID()
  await rm(join(stateDir, startAnswer), { force: true })
  await writePrivateFile(join(stateDir, startRequest), id)
  for (const giveUpAt = performance.now() + withinMs; performance.now() < giveUpAt; await pause(lookEveryMs)) {
    const text = await readPrivateFile(join(stateDir, startAnswer))
    const answer = text === null ? null : answerSchema.parse(JSON.parse(text))
    if (answer?.id !== id) continue
    await rm(join(stateDir, startAnswer), { force: true })
    if (answer.error !== null) {
      const { code, detail, cure } = answer.error
      throw new AppError(code, detail, cure === undefined ? {} : { cure })
    }
    if (answer.status !== null) return answer.status
  }
  throw new AppError('service-unavailable', 'The wizard that runs did not answer.', {
    cure: 'The password is kept: the KMS takes it when the wizard is started again.'
  })
}

/** The wizard's side: does nothing when nobody asks. */
export async function answerStartRequest(stateDir: string, target: Pick<DeployTarget, 'restart'>): Promise<void> {
  const file = join(stateDir, startRequest)
  const id = await readPrivateFile(file)
  if (id === null) return
  // First gone, then done: killed in between it is not done twice, and the next start of the wizard does it anyway.
  await rm(file, { force: true })
  const answer = await target.restart('kms').then(
    (status) => ({ id, status, error: null }),
    (thrown: unknown) => ({ id, status: null, error: problemOf(thrown) })
  )
  await writePrivateFile(join(stateDir, startAnswer), JSON.stringify(answer))
}

function problemOf(thrown: unknown) {
  if (!(thrown instanceof AppError)) return { code: 'deploy-failed' as const, detail: 'The KMS could not be started.' }
  const { code, message: detail, cure } = thrown
  return { code, detail, ...(cure === undefined ? {} : { cure }) }
}
