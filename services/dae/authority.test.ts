import assert from 'node:assert/strict'
import type { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { migrate } from '../../lib/database/migrate.ts'
import { openPool, utcNow } from '../../lib/database/pool.ts'
import { newCa } from '../../lib/x509/testing.ts'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import { openAuthority } from './authority.ts'

const { mariadb } = await sharedSandbox(['mariadb'])
const name = freshName('authority')
const setup = openPool(mariadb, 1)
await setup.query(`CREATE DATABASE ${name}`)
const database = openPool({ ...mariadb, database: name })
await migrate(database, join(import.meta.dirname, '../../migrations'))
after(async () => {
  await database.end()
  await setup.query(`DROP DATABASE ${name}`)
  await setup.end()
})

const [old, next, other] = await Promise.all([newCa(), newCa(), newCa('EC-P256', 'CN=Other')])
const minutes = (count: number) => new Date(Date.now() + count * 60_000)

async function keep(keyId: string, tenant: string, { raw }: X509Certificate, made: Date, issuesFrom: Date | null) {
  await database.query(
    `INSERT INTO certificate_authorities (key_id, tenant, certificate, device_days, created_at, issues_from)
     VALUES (?, ?, ?, 30, ?, ?) ON DUPLICATE KEY UPDATE issues_from = VALUES(issues_from)`,
    [keyId, tenant, raw, utcNow(made), issuesFrom === null ? null : utcNow(issuesFrom)]
  )
}

const fingerprints = (certificates: readonly X509Certificate[]) =>
  certificates.map(({ fingerprint256 }) => fingerprint256)

test('before the tenant has a CA nothing is issued, and it is asked for again', async () => {
  const authority = openAuthority(database, 'acme')
  await assert.rejects(authority.ca(), { code: 'service-unavailable' })
  await keep('old', 'acme', old.certificate, minutes(-600), null)
  await keep('other', 'beta', other.certificate, minutes(-1), null)
  assert.equal((await authority.ca()).keyId, 'old')
})

test('a successor is shown to devices at once, and issues from its day on', async () => {
  await keep('next', 'acme', next.certificate, minutes(-5), minutes(60))
  await database.query(
    `INSERT INTO ca_key_updates (subject_key, issuer_key, tenant, certificate) VALUES ('next', 'old', 'acme', ?)`,
    [other.certificate.raw]
  )
  const before = openAuthority(database, 'acme')
  assert.equal((await before.ca()).keyId, 'old')
  assert.deepEqual(
    fingerprints(await before.certificates()),
    fingerprints([old.certificate, next.certificate, other.certificate])
  )
  await keep('next', 'acme', next.certificate, minutes(-5), minutes(-1))
  const now = openAuthority(database, 'acme')
  assert.equal((await now.ca()).keyId, 'next')
  assert.deepEqual(
    fingerprints(await now.certificates()),
    fingerprints([next.certificate, old.certificate, other.certificate])
  )
  assert.deepEqual(
    fingerprints(await openAuthority(database, 'beta').certificates()),
    fingerprints([other.certificate])
  )
})
