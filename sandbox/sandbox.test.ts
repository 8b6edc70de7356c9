import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import mysql from 'mysql2/promise'
import { portIsFree } from './ports.ts'
import { startSandbox } from './sandbox.ts'
import { freshName } from './testing.ts'

test('the setup account makes schemas and users and passes rights on, and nobody is called root', async () => {
  const { mariadb, stop } = await startSandbox({ parts: ['mariadb'] })
  after(stop)
  const { host, port, user, password } = mariadb
  const admin = await mysql.createConnection({ host, port, user, password })
  const schema = freshName('schema')
  await admin.query(`CREATE DATABASE ${schema}`)
  await admin.query(`CREATE USER 'svc'@'127.0.0.1' IDENTIFIED BY 'a-password-of-its-own'`)
  await admin.query(`GRANT SELECT, INSERT, CREATE ON ${schema}.* TO 'svc'@'127.0.0.1'`)
  await admin.end()

  const service = await mysql.createConnection({
    host,
    port,
    user: 'svc',
    password: 'a-password-of-its-own',
    database: schema
  })
  await service.query('CREATE TABLE t (id INT PRIMARY KEY)')
  const [rows] = await service.query<mysql.RowDataPacket[]>('SELECT @@character_set_database AS charset')
  assert.deepEqual(rows, [{ charset: 'utf8mb4' }])
  await service.end()

  for (const nobody of ['root', '']) {
    await assert.rejects(mysql.createConnection({ host, port, user: nobody }), { code: 'ER_ACCESS_DENIED_ERROR' })
  }
})

test('a kept folder gives the same ports, password and data again; a temporary one is gone after stop', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ks-'))
  after(() => rmSync(dir, { recursive: true, force: true }))
  const first = await startSandbox({ dir, parts: ['mariadb', 'memcached'] })
  const before = { port: first.mariadb.port, password: first.mariadb.password, server: first.memcached.server }
  const connection = await mysql.createConnection(login(first.mariadb))
  await connection.query('CREATE DATABASE kept')
  await connection.end()
  await first.stop()
  assert.ok(await portIsFree(before.port), 'stopped means that the port is free')

  const second = await startSandbox({ dir, parts: ['mariadb', 'memcached'] })
  const { mariadb, memcached } = second
  assert.deepEqual({ port: mariadb.port, password: mariadb.password, server: memcached.server }, before)
  const again = await mysql.createConnection({ ...login(mariadb), database: 'kept' })
  await again.end()
  await second.stop()
  assert.ok(existsSync(dir), 'a folder that was given is kept')

  const temporary = await startSandbox({ parts: ['memcached'] })
  await temporary.stop()
  assert.ok(!existsSync(temporary.dir))
})

test('files with passwords are for their owner only, and the database folder keeps none of them', async () => {
  const { dir, mariadb, stop } = await startSandbox({ parts: ['mariadb', 'nss'] })
  after(stop)
  const passwords = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.password'))
  assert.equal(passwords.length, 2)
  for (const file of passwords) assert.equal(statSync(join(dir, file)).mode & 0o777, 0o600)
  assert.ok(!readdirSync(join(dir, 'mariadb', 'data')).includes('account.sql'))
  assert.equal(mariadb.passwordFile, join(dir, 'mariadb', 'setup.password'))
})

test('memcached listens on 127.0.0.1 only', async () => {
  const { memcached, stop } = await startSandbox({ parts: ['memcached'] })
  after(stop)
  const refused = await new Promise<string | undefined>((resolve) => {
    const socket = connect({ host: '127.0.0.2', port: memcached.port }, () => resolve('connected'))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
  })
  assert.equal(refused, 'ECONNREFUSED')
})

test('a part that cannot be started is the error of the whole start', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ks-'))
  after(() => rmSync(dir, { recursive: true, force: true }))
  const path = process.env.PATH
  process.env.PATH = '' // no memcached to be found, nor setpriv
  try {
    await assert.rejects(startSandbox({ dir, parts: ['memcached'] }), /memcached/)
  } finally {
    process.env.PATH = path
  }
})

function login(mariadb: { host: string; port: number; user: string; password: string }): mysql.ConnectionOptions {
  const { host, port, user, password } = mariadb
  return { host, port, user, password }
}
