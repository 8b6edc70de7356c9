import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import mysql from 'mysql2/promise'
import { selfSignedTls } from '../../../lib/x509/software-key.ts'
import { startChild, whenReady } from '../../../sandbox/child.ts'
import { freePort } from '../../../sandbox/ports.ts'
import { firstTrouble, verdicts } from '../../checks/testing.ts'
import { applyContext } from '../testing.ts'
import { applyDatabase } from './apply.ts'
import { databaseLadder } from './checks.ts'

const password = 'the-password-of-this-test'

/** A MariaDB with TLS whose certificate names `localhost` only, and a user who must use it. */
async function tlsMariadb(): Promise<{ port: number; ca: string; root: mysql.Connection }> {
  const dir = mkdtempSync(join(tmpdir(), 'ks-tls-'))
  mkdirSync(join(dir, 'data'))
  await promisify(execFile)('mariadb-install-db', [
    '--no-defaults',
    `--datadir=${dir}/data`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--innodb-log-file-size=16M',
    ...(process.getuid?.() === 0 ? ['--user=root'] : [])
  ])
  const { certificate, privateKey } = await selfSignedTls({ names: ['localhost'], days: 30 })
  writeFileSync(join(dir, 'tls.crt'), certificate)
  writeFileSync(join(dir, 'tls.key'), privateKey, { mode: 0o600 })
  chownSync(join(dir, 'tls.key'), process.getuid?.() ?? 0, process.getgid?.() ?? 0)
  const port = await freePort()
  const child = startChild({
    name: 'MariaDB with TLS',
    command: 'mariadbd',
    args: [
      '--no-defaults',
      ...(process.getuid?.() === 0 ? ['--user=root'] : []),
      `--datadir=${dir}/data`,
      '--socket=s.sock',
      '--bind-address=127.0.0.1',
      `--port=${port}`,
      '--skip-name-resolve',
      '--character-set-server=utf8mb4',
      '--innodb-buffer-pool-size=32M',
      '--innodb-log-file-size=16M',
      `--ssl-cert=${dir}/tls.crt`,
      `--ssl-key=${dir}/tls.key`
    ],
    logFile: join(dir, 'log')
  })
  const connect = () => mysql.createConnection({ host: '127.0.0.1', port, user: 'root' })
  await whenReady(
    child,
    async () => {
      await (await connect()).end()
      return true
    },
    30_000
  )
  const root = await connect()
  await root.query(`CREATE USER 'installer'@'%' IDENTIFIED BY '${password}' REQUIRE SSL`)
  await root.query("GRANT ALL ON *.* TO 'installer'@'%' WITH GRANT OPTION")
  after(async () => {
    root.destroy()
    await child.stop('now')
    rmSync(dir, { recursive: true, force: true })
  })
  return { port, ca: certificate, root }
}

const { port, ca, root } = await tlsMariadb()
const answers = (over: object) => ({
  dbHost: 'localhost',
  dbPort: port,
  dbName: 'keyscaler',
  dbUser: 'installer',
  dbPassword: password,
  dbTls: true,
  dbCa: ca,
  ...over
})

test('over verified TLS the whole ladder passes, and nothing is left in the server', async () => {
  const { findings } = await verdicts(databaseLadder, answers({}))
  assert.equal(firstTrouble(findings), undefined, JSON.stringify(firstTrouble(findings)))
  assert.match(findings.find(({ id }) => id === 'database.tls')?.say ?? '', /^TLSv1\.3\. The certificate is good/)
  const [schemas] = await root.query('SHOW DATABASES')
  const own = ['information_schema', 'mysql', 'performance_schema', 'sys']
  assert.deepEqual(
    Object.values(schemas).map((row: object) => Object.values(row)[0]),
    own
  )
  const [users] = await root.query("SELECT User FROM mysql.user WHERE User LIKE 'keyscaler%'")
  assert.deepEqual(users, [])
})

test('an untrusted certificate is said beside the CA field, with what to paste', async () => {
  const { findings } = await verdicts(databaseLadder, answers({ dbCa: undefined }))
  const trouble = firstTrouble(findings)
  assert.deepEqual([trouble?.say, trouble?.field], ['Server certificate is not trusted.', 'dbCa'])
})

test('a host that the certificate does not name is refused, also where it is an address', async () => {
  const { findings } = await verdicts(databaseLadder, answers({ dbHost: '127.0.0.1' }))
  const trouble = firstTrouble(findings)
  assert.equal(trouble?.id, 'database.tls')
  assert.match(trouble?.say ?? '', /is not for 127\.0\.0\.1 but for DNS:localhost/)
})

test('an account that must use TLS is not let in without, and the cure says so', async () => {
  const { findings } = await verdicts(databaseLadder, answers({ dbTls: false, dbCa: undefined }))
  assert.equal(firstTrouble(findings)?.say, 'Access denied for user installer.')
})

test('with TLS the services must use it too', async () => {
  const context = applyContext()
  await applyDatabase(answers({}), context)
  const [rows] = await root.query("SHOW CREATE USER 'keyscaler_kms'@'127.0.0.1'")
  assert.match(JSON.stringify(rows), /REQUIRE SSL/)
})
