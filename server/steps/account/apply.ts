/** The tenant with its key in the token, its first administrator, and a participant for API callers. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { utcNow } from '../../../lib/database/pool.ts'
import { seal } from '../../../lib/database/sealed.ts'
import { AppError } from '../../../lib/errors/app-error.ts'
import { openDataKey } from '../../../lib/kms-client/data-key.ts'
import type { KmsClient } from '../../../lib/kms-client/kms-client.ts'
import type { ApplyContext } from '../apply-context.ts'
import type { ApplyResult } from '../step.ts'
import type { AccountAnswers } from './answers.ts'

type Kept = Pick<AccountAnswers, 'tenant' | 'fullName' | 'email'>

/** `answers` may come without the password (after a kill): what is kept of it is its hash. */
export async function applyAccount(answers: Kept, context: ApplyContext): Promise<ApplyResult> {
  const { tenant, email } = answers
  const passwordHash = await context.secretOf('account', 'password')
  if (passwordHash === undefined) throw new AppError('conflict', 'The password was not kept; enter it again.')
  const { database } = context
  const kms = await context.kms()

  context.report(`Creating account ${tenant}`)
  await context.effect('tenant', tenant, () => makeTenant(database, tenant))
  context.report(`Creating the key of ${tenant} in the key store`)
  await context.effect('key', `tenant/${tenant}`, async () => {
    const { id } = await kms.createTenantKey(tenant)
    await database.query('UPDATE tenants SET key_id = ? WHERE name = ?', [id, tenant])
  })
  context.report(`Creating administrator ${email}`)
  await context.effect('administrator', email, () => makeAdministrator(database, answers, passwordHash))

  const credential = `participant/${tenant}`
  if ((await wasShown(database, context.install, tenant)) && (await hasParticipant(database, tenant))) {
    await context.effect('credential', credential, () => Promise.resolve())
    return {}
  }
  context.report('Creating the participant')
  const participant = await context.effect('credential', credential, () => makeParticipant(database, kms, tenant))
  return {
    showOnce: [
      { label: 'Participant ID', value: participant.id },
      { label: 'Participant secret', value: participant.secret, secret: true }
    ]
  }
}

async function makeTenant(database: Pool, tenant: string): Promise<void> {
  await database.query('INSERT INTO tenants (name, created_at) VALUES (?, ?) ON DUPLICATE KEY UPDATE name = name', [
    tenant,
    utcNow()
  ])
}

/** A tenant has one administrator from setup: entered again with another e-mail, it is that one that changes. */
async function makeAdministrator(database: Pool, { tenant, fullName, email }: Kept, hash: string): Promise<void> {
  const [known] = await database.query<RowDataPacket[]>(
    'SELECT id FROM administrators WHERE tenant = ? ORDER BY email <> ?, created_at LIMIT 1',
    [tenant, email]
  )
  if (known[0] !== undefined) {
    await database.query('UPDATE administrators SET full_name = ?, email = ?, password_hash = ? WHERE id = ?', [
      ...[fullName, email, hash, known[0].id]
    ])
    return
  }
  await database.query(
    'INSERT INTO administrators (id, tenant, full_name, email, password_hash, created_at) VALUES (?, ?, ?, ?, ?, ?)',
    [randomUUID(), tenant, fullName, email, hash, utcNow()]
  )
}

/** The secret was shown when this step was finished for this tenant once; until then nobody can have it. */
async function wasShown(database: Pool, install: string, tenant: string): Promise<boolean> {
  const [rows] = await database.query<RowDataPacket[]>(
    `SELECT 1 FROM answers WHERE install_id = ? AND step = 'account' AND applied_at IS NOT NULL
     AND JSON_UNQUOTE(JSON_EXTRACT(answer_values, '$.tenant')) = ? LIMIT 1`,
    [install, tenant]
  )
  return rows.length > 0
}

async function hasParticipant(database: Pool, tenant: string): Promise<boolean> {
  const [rows] = await database.query<RowDataPacket[]>('SELECT 1 FROM participants WHERE tenant = ? LIMIT 1', [tenant])
  return rows.length > 0
}

async function makeParticipant(
  database: Pool,
  kms: KmsClient,
  tenant: string
): Promise<{ readonly id: string; readonly secret: string }> {
  // Under the tenant's own key: what is the tenant's goes with it.
  const context = `participants/${tenant}`
  const bytes = await openDataKey(database, kms, context, tenant)
  const [rows] = await database.query<RowDataPacket[]>('SELECT id FROM participants WHERE tenant = ? LIMIT 1', [tenant])
  const id = rows[0] === undefined ? randomUUID() : String(rows[0].id)
  const secret = randomBytes(32).toString('base64url')
  const sealed = JSON.stringify(seal({ context, bytes }, { table: 'participants', row: id, tenant }, secret))
  await database.query(
    `INSERT INTO participants (id, tenant, secret, created_at) VALUES (?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE secret = VALUES(secret)`,
    [id, tenant, sealed, utcNow()]
  )
  bytes.fill(0)
  return { id, secret }
}
