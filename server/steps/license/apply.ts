/** Stores the licence in place of the one before. */

import { utcNow, withTransaction } from '../../../lib/database/pool.ts'
import { AppError } from '../../../lib/errors/app-error.ts'
import { trustedIssuers } from '../../../lib/license/evaluation-issuer.ts'
import { verifyLicense } from '../../../lib/license/license.ts'
import type { ApplyContext } from '../apply-context.ts'
import type { ApplyResult } from '../step.ts'

export async function applyLicense(
  { license }: { readonly license: string },
  context: ApplyContext
): Promise<ApplyResult> {
  // Read again rather than carried over from the check: after a kill it may have expired meanwhile.
  const verdict = await verifyLicense(license, await trustedIssuers(context.stateDir))
  if (!verdict.valid) throw new AppError('check-failed', `The license may not be used (${verdict.problem}).`)
  const { jti, licensee, devices, exp } = verdict.claims
  context.report('Storing the license')
  await context.effect('license', jti, () =>
    withTransaction(context.database, async (connection) => {
      await connection.query('DELETE FROM licenses WHERE id <> ?', [jti])
      await connection.query(
        `INSERT INTO licenses (id, token, licensee, device_limit, not_after, installed_at) VALUES (?, ?, ?, ?, ?, ?)
         ON DUPLICATE KEY UPDATE token = VALUES(token)`,
        [jti, license, licensee, devices, utcNow(new Date(exp * 1000)), utcNow()]
      )
    })
  )
  return {}
}
