import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPool } from '../../../lib/database/pool.ts'
import { freshName, sharedSandbox } from '../../../sandbox/testing.ts'
import { observeMysql } from '../../checks/mysql.ts'
import { deadPort, firstTrouble, surroundings, verdicts } from '../../checks/testing.ts'
import { connectionOf } from './answers.ts'
import { databaseLadder } from './checks.ts'

const { mariadb } = await sharedSandbox(['mariadb'])
const admin = openPool(mariadb, 2)
test.after(() => admin.end())

interface Account {
  readonly user: string
  readonly password: string
}

const answers = (dbName: string, account: Account = mariadb) => ({
  dbHost: mariadb.host,
  dbPort: mariadb.port,
  dbName,
  dbUser: account.user,
  dbPassword: account.password,
  dbTls: false,
  dbCa: undefined
})

/** An account with these rights only, each a GRANT without its TO. */
async function account(...grants: readonly string[]): Promise<Account> {
  const made = { user: freshName('u'), password: 'a-password-of-the-test' }
  await admin.query('CREATE USER ?@? IDENTIFIED BY ?', [made.user, '127.0.0.1', made.password])
  for (const grant of grants) await admin.query(`GRANT ${grant}`.replace(' TO', ` TO '${made.user}'@'127.0.0.1'`))
  return made
}

async function tablesIn(schema: string): Promise<unknown> {
  const [rows] = await admin.query('SELECT table_name FROM information_schema.tables WHERE table_schema = ?', [schema])
  return rows
}

const enough = 'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX'

test('a good account passes every rung for a database that does not exist yet, and nothing is left behind', async () => {
  const name = freshName('absent')
  const { findings, byId } = await verdicts(databaseLadder, answers(name))
  assert.equal(firstTrouble(findings), undefined, JSON.stringify(firstTrouble(findings)))
  assert.deepEqual(Object.keys(byId), [
    'resolves',
    'connects',
    'tls',
    'login',
    'version',
    'storage',
    'schema',
    'rights',
    'clock'
  ])
  assert.match(findings.find(({ id }) => id === 'database.schema')?.say ?? '', /does not exist yet/)
  const [rows] = await admin.query('SHOW DATABASES LIKE ?', [name])
  assert.deepEqual(rows, [])
})

test('an empty database and one of ours pass; one of another install and one of something else do not', async () => {
  const name = freshName('contents')
  const say = async () => {
    const { findings } = await verdicts(databaseLadder, answers(name))
    const { verdict, say, field } = findings.find(({ id }) => id === 'database.schema') ?? {}
    return [verdict, say, field]
  }
  await admin.query(`CREATE DATABASE ${name}`)
  assert.deepEqual(await say(), ['pass', `Database ${name} is empty.`, undefined])

  await admin.query(`CREATE TABLE ${name}.schema_migrations (name VARCHAR(99) PRIMARY KEY, checksum CHAR(64))`)
  await admin.query(`INSERT INTO ${name}.schema_migrations VALUES ('0007-create-tenants.sql', 'x')`)
  assert.deepEqual(await say(), ['pass', `Database ${name} is ours, at 0007-create-tenants.sql.`, undefined])

  await admin.query(`CREATE TABLE ${name}.installs (id CHAR(36) PRIMARY KEY)`)
  await admin.query(`INSERT INTO ${name}.installs VALUES ('this-install')`)
  assert.equal((await say())[0], 'pass')
  await admin.query(`INSERT INTO ${name}.installs VALUES ('that-install')`)
  assert.deepEqual(await say(), ['fail', `Database ${name} holds another installation (that-install).`, 'dbName'])

  await admin.query(`DROP TABLE ${name}.schema_migrations, ${name}.installs`)
  await admin.query(`CREATE TABLE ${name}.wp_posts (id INT PRIMARY KEY)`)
  assert.deepEqual(await say(), ['fail', `Database ${name} holds 1 tables of something else.`, 'dbName'])
  const question = { connection: connectionOf(answers(name)), schema: name, install: 'this-install' }
  const { rights } = await observeMysql(question, () => {}, new AbortController().signal)
  assert.equal(rights, null, 'nothing was tried in a database that is not ours')

  await admin.query(`CREATE TABLE ${name}.schema_migrations (version INT PRIMARY KEY)`)
  assert.equal((await say())[0], 'fail', "another product's schema_migrations is not ours")
  await admin.query(`DROP DATABASE ${name}`)
})

test('a wrong password is said beside the password field, and never shown', async () => {
  const wrong = { user: mariadb.user, password: 'not-the-password' }
  const { findings, byId } = await verdicts(databaseLadder, answers('x', wrong))
  const trouble = firstTrouble(findings)
  assert.deepEqual([trouble?.id, trouble?.field], ['database.login', 'dbPassword'])
  assert.equal(trouble?.say, `Access denied for user ${mariadb.user}.`)
  assert.equal(byId.rights, 'skip')
  assert.ok(!JSON.stringify(findings).includes('not-the-password'))
})

test('a dead port is said with the code, beside the host', async () => {
  const port = await deadPort()
  const { findings } = await verdicts(databaseLadder, { ...answers('x'), dbPort: port })
  const trouble = firstTrouble(findings)
  assert.equal(trouble?.say, `Cannot reach 127.0.0.1:${port} (connection refused).`)
  assert.equal(trouble?.field, 'dbHost')
})

test('an account without CREATE is told the grant that it needs', async () => {
  const poor = await account()
  const name = freshName('absent')
  const { findings } = await verdicts(databaseLadder, answers(name, poor))
  const trouble = firstTrouble(findings)
  assert.equal(trouble?.say, `Database ${name} does not exist and ${poor.user} may not create it.`)
  assert.match(trouble?.cure ?? '', new RegExp(`GRANT ALL ON \`${name}\`\\.\\* TO '${poor.user}'@'127\\.0\\.0\\.1'`))
})

test('where the rights are skipped nothing is made to try them out, and all else is looked at', async () => {
  const poor = answers(freshName('absent'), await account())
  const skip = new Map([['database.rights', 'no scratch user may be made there']])
  const { byId } = await verdicts(databaseLadder, poor, { ...surroundings, skip })
  assert.equal(byId.rights, 'skip')
  assert.deepEqual([byId.login, byId.schema, byId.clock], ['pass', 'pass', 'pass'])
  const told: string[] = []
  const question = { connection: connectionOf(poor), schema: poor.dbName, install: 'any', withoutRights: true }
  const seen = await observeMysql(question, (what) => told.push(what), AbortSignal.timeout(10_000))
  assert.deepEqual([seen.rights, told.at(-1)], [null, 'the facts of the server'])
})

test('each right that is missing is named: by using it, all at once', async () => {
  const name = freshName('rights')
  await admin.query(`CREATE DATABASE ${name}`)
  const some = await account(`SELECT, CREATE, DROP, INSERT ON ${name}.* TO`)
  const { findings } = await verdicts(databaseLadder, answers(name, some))
  assert.equal(firstTrouble(findings)?.say, `${some.user} lacks: UPDATE, DELETE, ALTER, INDEX, CREATE USER.`)

  const noGrant = await account(`${enough} ON ${name}.* TO`, 'CREATE USER ON *.* TO')
  const { findings: later } = await verdicts(databaseLadder, answers(name, noGrant))
  assert.equal(firstTrouble(later)?.say, `${noGrant.user} lacks: GRANT OPTION.`)
  assert.deepEqual(await tablesIn(name), [])
  await admin.query(`DROP DATABASE ${name}`)
})

test('an account that owns just its own database name is enough, and may make that database', async () => {
  const name = freshName('own')
  const owner = await account(`${enough} ON ${name}.* TO WITH GRANT OPTION`, 'CREATE USER ON *.* TO')
  const { findings } = await verdicts(databaseLadder, answers(name, owner))
  assert.equal(firstTrouble(findings), undefined, JSON.stringify(firstTrouble(findings)))
  const [rows] = await admin.query('SHOW DATABASES LIKE ?', [name])
  assert.deepEqual(rows, [], 'made for the proof, and removed again')
})
