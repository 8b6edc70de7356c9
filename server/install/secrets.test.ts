import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import { migrate } from '../../lib/database/migrate.ts'
import { openPool, utcNow } from '../../lib/database/pool.ts'
import { jsonColumn } from '../../lib/database/rows.ts'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import { stateFolder } from '../steps/testing.ts'
import type { SecretPlace } from './boot-file.ts'
import { openSecretKeeper } from './secrets.ts'

const { mariadb } = await sharedSandbox(['mariadb'])
const name = freshName('secrets')
const setup = openPool(mariadb, 1)
await setup.query(`CREATE DATABASE ${name}`)
const database = openPool({ ...mariadb, database: name })
await migrate(database, join(import.meta.dirname, '../../migrations'))
after(async () => {
  await database.end()
  await setup.query(`DROP DATABASE ${name}`)
  await setup.end()
})

/**
 * Every column of every table, and why a thief of the database learns no secret from it. A new column must be put somewhere:
 * this list is where somebody asks "does it hold a secret?".
 */
const columns = {
  /** Sealed under a data key (lib/database/sealed.ts), each with a test of its own. */
  sealed: ['answers.secrets', 'participants.secret'],
  /** Wrapped in the token. */
  wrapped: ['data_keys.wrapped'],
  /** A slow hash of a password, or SHA-256 of at least 128 random bits. */
  hashed: ['administrators.password_hash', 'registrations.secret_hash', 'sessions.id_hash'],
  /** Useless without what is only hashed here: a forged form needs the session's cookie as well. */
  partial: ['sessions.csrf'],
  open: {
    installs: ['id', 'created_at', 'finished_at'],
    answers: ['install_id', 'step', 'revision', 'answer_values', 'findings', 'actor', 'created_at', 'applied_at'],
    ledger: ['id', 'install_id', 'step', 'kind', 'name', 'state', 'detail', 'intended_at', 'done_at'],
    kms_keys: [
      'id',
      'purpose',
      'tenant',
      'algorithm',
      'label',
      'state',
      'public_key',
      'certificate',
      'created_at',
      'version',
      'check_value',
      'retired_at'
    ],
    kms_audit: ['id', 'at', 'actor', 'action', 'subject', 'outcome', 'request_id'],
    key_rotations: [
      'id',
      'purpose',
      'tenant',
      'from_key',
      'to_key',
      'state',
      'total',
      'rewrapped',
      'unreadable',
      'last_row',
      'started_at',
      'finished_at'
    ],
    data_keys: ['id', 'context', 'created_at'],
    tenants: ['name', 'key_id', 'created_at'],
    administrators: ['id', 'tenant', 'full_name', 'email', 'created_at'],
    participants: ['id', 'tenant', 'created_at'],
    licenses: ['id', 'token', 'licensee', 'device_limit', 'not_after', 'installed_at'],
    certificate_authorities: ['key_id', 'tenant', 'certificate', 'device_days', 'created_at', 'issues_from'],
    ca_key_updates: ['subject_key', 'issuer_key', 'tenant', 'certificate'],
    registrations: [
      'id',
      'tenant',
      'device_name',
      'created_by',
      'created_at',
      'expires_at',
      'used_at',
      'claimed_by',
      'claimed_until'
    ],
    devices: ['id', 'tenant', 'name', 'registration_id', 'created_at'],
    certificates: [
      'serial',
      'ca_key_id',
      'registration_id',
      'device_id',
      'certificate',
      'not_before',
      'not_after',
      'state',
      'created_at'
    ],
    outbox: [
      'id',
      'event_id',
      'topic',
      'event_key',
      'type',
      'payload',
      'created_at',
      'published_at',
      'parked_at',
      'parked_because'
    ],
    relay_lease: ['name', 'holder', 'taken_at'],
    sessions: ['administrator_id', 'created_at', 'expires_at'],
    login_attempts: ['id', 'subject', 'at'],
    // The MAC is under a key that is not in the database, and no answer that is kept holds a secret (idempotency.test.ts).
    idempotency_keys: ['install_id', 'key_hash', 'request_mac', 'holder_hash', 'answer', 'created_at'],
    schema_migrations: ['name', 'checksum', 'applied_at'],
    schema_lock: ['id']
  }
} as const

test('every column of the database is known to hold no secret in clear', async () => {
  const [rows] = await database.query<RowDataPacket[]>(
    'SELECT table_name AS t, column_name AS c FROM information_schema.columns WHERE table_schema = ? ORDER BY 1, 2',
    [name]
  )
  const open = Object.entries(columns.open).flatMap(([table, names]) => names.map((column) => `${table}.${column}`))
  const known = [...columns.sealed, ...columns.wrapped, ...columns.hashed, ...columns.partial, ...open]
  assert.deepEqual(rows.map(({ t, c }) => `${t}.${c}`).sort(), known.sort())
})

test('a typed secret of any step goes into the database sealed: a dump shows it in no form, and no data key opens another row', async () => {
  const dataKeys = new Map<string, Buffer>()
  const kms: Pick<KmsClient, 'newDataKey' | 'unwrapDataKey'> = {
    newDataKey: async () => {
      const [plaintext, data] = [randomBytes(32), randomBytes(8).toString('hex')]
      dataKeys.set(data, Buffer.from(plaintext))
      return { plaintext, wrapped: { mode: 'caller-iv', iv: '', data, masterKey: 'ab'.repeat(16) } }
    },
    unwrapDataKey: async ({ data }) => Buffer.from(dataKeys.get(data) ?? [])
  }
  const vault = async () => ({ database, kms: kms as KmsClient })
  const keeper = openSecretKeeper(stateFolder(), 'this-install', vault)
  const typed = [
    ['memcached', 'password'],
    ['account', 'password'],
    ['kafka', 'password'],
    ['dae', 'certificateKey'],
    ['mqs', 'certificateKey'],
    ['cp', 'certificateKey']
  ] as const
  const secrets = new Map(
    typed.map(([step, field]) => [`${step}.${field}`, `${step} canary ${randomBytes(9).toString('hex')}`])
  )
  for (const [step, field] of typed) {
    const place = await keeper.keep(step, field, secrets.get(`${step}.${field}`) ?? '')
    await database.query(
      `INSERT INTO answers (install_id, step, revision, answer_values, secrets, findings, actor, created_at)
       VALUES ('this-install', ?, 1, '{}', ?, '[]', 'test', ?)`,
      [step, JSON.stringify({ [field]: place }), utcNow()]
    )
  }
  const dump = await wholeDatabase()
  for (const secret of [...secrets.values(), ...[...dataKeys.values()].map((key) => key.toString('base64'))]) {
    for (const form of [
      secret,
      Buffer.from(secret).toString('base64').slice(0, -4),
      Buffer.from(secret).toString('hex')
    ]) {
      assert.ok(!dump.includes(form), secret)
    }
  }
  // A new keeper, as after a restart: it opens each in its place, and in no other.
  const again = openSecretKeeper(stateFolder(), 'this-install', vault)
  const [rows] = await database.query<RowDataPacket[]>('SELECT step, secrets FROM answers')
  for (const row of rows) {
    const [[field, place]] = Object.entries(jsonColumn<Record<string, SecretPlace>>(row.secrets)) as [
      [string, SecretPlace]
    ]
    assert.equal(await again.open(row.step, field, place), secrets.get(`${row.step}.${field}`))
    await assert.rejects(again.open('license', field, place), { code: 'invalid-input' })
  }
})

async function wholeDatabase(): Promise<string> {
  const [tables] = await database.query<RowDataPacket[]>('SHOW TABLES')
  const names = tables.map((row) => String(Object.values(row)[0]))
  const contents = await Promise.all(names.map((table) => database.query<RowDataPacket[]>(`SELECT * FROM ${table}`)))
  const dump = JSON.stringify(contents.map(([rows]) => rows))
  assert.ok(dump.includes('CKM') || dump.includes('AES-256-GCM'))
  return dump
}
