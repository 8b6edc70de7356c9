import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readPrivateFile } from '../../../lib/config/private-file.ts'
import { openPool } from '../../../lib/database/pool.ts'
import { serviceUserName } from '../../../lib/database/service-user.ts'
import { freshName, sharedSandbox } from '../../../sandbox/testing.ts'
import { type ServiceName, serviceNames } from '../../../services/catalog.ts'
import { applyContext, Killed } from '../testing.ts'
import { applyDatabase, databaseCredential } from './apply.ts'
import { serviceRights } from './service-rights.ts'

const { mariadb } = await sharedSandbox(['mariadb'])
const admin = openPool(mariadb, 2)
test.after(() => admin.end())

const answersFor = (dbName: string) => ({
  dbHost: mariadb.host,
  dbPort: mariadb.port,
  dbName,
  dbUser: mariadb.user,
  dbPassword: mariadb.password,
  dbTls: false,
  dbCa: undefined
})

async function asService(schema: string, service: ServiceName, stateDir: string) {
  const password = await readPrivateFile(join(stateDir, 'credentials', databaseCredential(service)))
  const user = serviceUserName(schema, service)
  const pool = openPool({ host: mariadb.host, port: mariadb.port, user, password: password ?? '', database: schema }, 1)
  test.after(() => pool.end())
  return pool
}

test('makes the database, its tables, and a user for each service that may do what is its own and no more', async () => {
  const name = freshName('apply')
  const context = applyContext()
  await applyDatabase(answersFor(name), context)
  assert.deepEqual(context.effects, [
    `schema ${name}`,
    `migration ${name}`,
    ...serviceNames.map((service) => `database-user ${serviceUserName(name, service)}@127.0.0.1`)
  ])

  const kms = await asService(name, 'kms', context.stateDir)
  await kms.query(
    `INSERT INTO kms_audit (at, actor, action, subject, outcome, request_id) VALUES (NOW(3), 'a', 'b', 'c', 'ok', 'r')`
  )
  await assert.rejects(kms.query('DELETE FROM kms_audit'), { code: 'ER_TABLEACCESS_DENIED_ERROR' })
  await assert.rejects(kms.query('SELECT * FROM administrators'), { code: 'ER_TABLEACCESS_DENIED_ERROR' })

  const cp = await asService(name, 'cp', context.stateDir)
  await cp.query('SELECT id FROM administrators')
  await assert.rejects(cp.query('UPDATE administrators SET email = 1'), { code: 'ER_TABLEACCESS_DENIED_ERROR' })
  await assert.rejects(cp.query('CREATE TABLE mine (id INT)'), { code: 'ER_TABLEACCESS_DENIED_ERROR' })
  await assert.rejects(cp.query('SELECT * FROM mysql.user'), { code: 'ER_TABLEACCESS_DENIED_ERROR' })
  await admin.query(`DROP DATABASE ${name}`)
})

test('the passwords of the services are in 0600 files, each its own, and survive a second run', async () => {
  const name = freshName('again')
  const context = applyContext()
  await applyDatabase(answersFor(name), context)
  const files = serviceNames.map((service) => join(context.stateDir, 'credentials', databaseCredential(service)))
  const before = await Promise.all(files.map(readPrivateFile))
  for (const file of files) assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.equal(new Set(before).size, serviceNames.length)

  await applyDatabase(answersFor(name), context)
  assert.deepEqual(await Promise.all(files.map(readPrivateFile)), before)
  await (await asService(name, 'dae', context.stateDir)).query('SELECT id FROM devices')
  await admin.query(`DROP DATABASE ${name}`)
})

test('killed before any effect, the next run comes to the same end', async () => {
  const name = freshName('killed')
  const { stateDir } = applyContext()
  const effects = 2 + serviceNames.length
  for (let killAt = 0; killAt < effects; killAt++) {
    await assert.rejects(applyDatabase(answersFor(name), applyContext({ stateDir, killAt })), Killed)
  }
  const context = applyContext({ stateDir })
  await applyDatabase(answersFor(name), context)
  for (const service of serviceNames) {
    const pool = await asService(name, service, stateDir)
    for (const [table, rights] of Object.entries(serviceRights[service])) {
      if (rights.includes('SELECT' as never)) await pool.query(`SELECT * FROM ${table} LIMIT 1`)
    }
  }
  await admin.query(`DROP DATABASE ${name}`)
})

test('an account of a service whose credential file was lost gets a new password', async () => {
  const name = freshName('lost')
  await applyDatabase(answersFor(name), applyContext())
  const other = applyContext()
  await applyDatabase(answersFor(name), other)
  await (await asService(name, 'mqs', other.stateDir)).query('SELECT name FROM relay_lease')
  await admin.query(`DROP DATABASE ${name}`)
})

test('a user name stays within what MySQL takes, and two long schema names do not meet', () => {
  const long = 'a'.repeat(64)
  assert.equal(serviceUserName('keyscaler', 'kms'), 'keyscaler_kms')
  assert.equal(serviceUserName(long, 'kms').length, 32)
  assert.notEqual(serviceUserName(long, 'kms'), serviceUserName(`${long.slice(1)}b`, 'kms'))
})

test('removes what a killed check left of its scratch table, schema and user for this schema, and nobody else’s', async () => {
  const [name, other] = [freshName('swept'), freshName('other')]
  const scratchOf = (schema: string) =>
    `keyscaler_check_${createHash('sha256').update(schema).digest('hex').slice(0, 6)}_0123abcd`
  const [mine, theirs] = [scratchOf(name), scratchOf(other)]
  await admin.query(`CREATE DATABASE ${name}`)
  await admin.query(`CREATE TABLE ${name}.${mine} (id INT)`)
  for (const scratch of [mine, theirs]) {
    await admin.query(`CREATE DATABASE ${scratch}`)
    await admin.query(`CREATE TABLE ${scratch}.${scratch} (id INT)`)
    await admin.query(`CREATE USER ${scratch}@'127.0.0.1'`)
  }
  await applyDatabase(answersFor(name), applyContext())
  const [left] = await admin.query(
    `SELECT schema_name AS name FROM information_schema.schemata WHERE schema_name IN (?) UNION ALL
     SELECT table_name FROM information_schema.tables WHERE table_name IN (?) UNION ALL
     SELECT user FROM mysql.user WHERE user IN (?)`,
    [
      [mine, theirs],
      [mine, theirs],
      [mine, theirs]
    ]
  )
  assert.deepEqual(left, [{ name: theirs }, { name: theirs }, { name: theirs }])
  for (const schema of [name, theirs]) await admin.query(`DROP DATABASE ${schema}`)
  await admin.query(`DROP USER ${theirs}@'127.0.0.1'`)
})
