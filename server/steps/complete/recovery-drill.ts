/**
 * The recovery drill: something is encrypted under the master key, the KMS is restarted (a new login, everything found again
 * in the token), and it must open. What would be lost on the day after is found out before anything is kept under that key.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { z } from 'zod'
import { readPrivateJson, writePrivateFile } from '../../../lib/config/private-file.ts'
import { seal, unseal } from '../../../lib/database/sealed.ts'
import { AppError, messageOf } from '../../../lib/errors/app-error.ts'
import type { ApplyContext } from '../apply-context.ts'

const drillSchema = z.object({
  /** ISO 8601. */
  at: z.string(),
  /** CKA_ID of the master key that it proved. */
  masterKey: z.string()
})

export type RecoveryDrill = z.infer<typeof drillSchema>

const pathOf = (stateDir: string) => join(stateDir, 'recovery-drill.json')
const context = 'setup/recovery-drill'

/** @throws AppError deploy-failed when what was encrypted before the restart does not open after it; what the restart throws */
export async function drillRecovery(apply: ApplyContext): Promise<void> {
  const { database, deploy, install, report, stateDir } = apply
  const masterKey = await activeMasterKey(database)
  if (masterKey === null) throw new AppError('out-of-order', 'There is no master key yet.')
  report('Recovery drill: encrypting a canary under the master key')
  const kms = await apply.kms()
  const { plaintext, wrapped } = await kms.newDataKey(context)
  const place = { table: 'recovery_drill', row: install, tenant: null }
  const canary = randomBytes(32).toString('base64')
  const sealed = seal({ context, bytes: plaintext }, place, canary)
  plaintext.fill(0)

  report('Recovery drill: restarting the KMS')
  await deploy.restart('kms', report)
  report('Recovery drill: decrypting the canary')
  let opened: string
  try {
    const again = await kms.unwrapDataKey(wrapped, context)
    opened = unseal({ context, bytes: again }, place, sealed)
    again.fill(0)
  } catch (thrown) {
    throw failed(messageOf(thrown), thrown)
  }
  if (opened !== canary) throw failed('the canary is another one')
  const drill: RecoveryDrill = { at: new Date().toISOString(), masterKey }
  await writePrivateFile(pathOf(stateDir), `${JSON.stringify(drill)}\n`)
}

function failed(why: string, cause?: unknown): AppError {
  return new AppError(
    'deploy-failed',
    `The recovery drill failed: what was encrypted before the KMS was restarted does not open after it (${why}).`,
    {
      cure: 'Nothing is lost yet: mend this before anything is enrolled. Run `keyscaler hsm check`, look at the log of the KMS, then press Next again.',
      cause
    }
  )
}

/** When the master key that is active now was proved by a drill; null: it was not. */
export async function lastDrill(stateDir: string, masterKey: string | null): Promise<RecoveryDrill | null> {
  const cure = 'Remove it: the next run of the last step proves the recovery again.'
  const drill = await readPrivateJson(pathOf(stateDir), drillSchema, cure)
  return drill?.masterKey === masterKey ? drill : null
}

export async function activeMasterKey(database: Pool): Promise<string | null> {
  const [rows] = await database.query<RowDataPacket[]>(
    `SELECT id FROM kms_keys WHERE purpose = 'master' AND state = 'active'`
  )
  return rows[0] === undefined ? null : String(rows[0].id)
}
