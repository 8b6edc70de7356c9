/**
 * For the wizard, which does not keep the administrator's password: proves that logging in would work, as far as that
 * can be proved without it.
 */
import type { FastifyInstance } from 'fastify'
import type { Pool } from 'mysql2/promise'
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import { requireRole } from '../../lib/service/roles.ts'
import { findAdministrator } from './login.ts'
import { isArgon2idHash, type Passwords } from './passwords.ts'

const question = z.strictObject({ email: z.string().min(1).max(254) })

export function registerLoginCheck(
  app: FastifyInstance,
  { database, passwords }: { readonly database: Pool; readonly passwords: Passwords }
): void {
  app.post('/api/v1/login-check', { preHandler: requireRole('wizard') }, async (request) => {
    const parsed = question.safeParse(request.body)
    if (!parsed.success) throw new AppError('invalid-input', 'Send {"email": "…"}.')
    const administrator = await findAdministrator(database, parsed.data.email.trim().toLowerCase())
    if (administrator === null) throw new AppError('not-found', 'There is no administrator with this e-mail.')
    if (!isArgon2idHash(administrator.passwordHash)) {
      throw new AppError('conflict', 'The stored password of this administrator is not an argon2id hash.', {
        cure: 'Give the administrator a password again (step Account Creation).'
      })
    }
    if (!(await passwords.proveThemselves())) {
      throw new AppError('conflict', 'The Control Panel cannot verify passwords on this machine.')
    }
    return { ok: true }
  })
}
