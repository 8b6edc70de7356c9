/** A private MariaDB on 127.0.0.1: own data folder, nothing read from /etc/mysql, no account called root left in it. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import mysql from 'mysql2/promise'
import { type Child, startChild, whenReady } from './child.ts'
import { keptPassword, writePrivate } from './secrets.ts'
import { serviceUser } from './users.ts'

const run = promisify(execFile)

export interface MariadbAddress {
  readonly host: '127.0.0.1'
  readonly port: number
  /** The administrator account for setup: may create schemas and users and pass on what it may do; not root. */
  readonly user: string
  readonly password: string
  readonly passwordFile: string
}

export interface Mariadb extends MariadbAddress {
  readonly child: Child
}

/** What a database administrator would give to the person who installs KeyScaler. */
const setupUser = 'keyscaler_setup'
const setupRights =
  'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER, EVENT, ' +
  'CREATE ROUTINE, ALTER ROUTINE, EXECUTE, CREATE TEMPORARY TABLES, LOCK TABLES, CREATE USER, RELOAD, PROCESS, ' +
  'SHOW DATABASES, CONNECTION ADMIN'

/**
 * Starts it in the folder, which is created and filled at the first start.
 * @throws Error with the log's end when it does not come up within 30 s
 */
export async function startMariadb(options: { dir: string; port: number }): Promise<Mariadb> {
  const { dir, port } = options
  mkdirSync(dir, { recursive: true, mode: 0o711 })
  const { password, file: passwordFile } = keptPassword(dir, 'setup')
  const data = join(dir, 'data')
  // Its own folder: a starting server clears the temporary tables that it finds, those of others in /tmp too.
  const temporary = join(dir, 'tmp')
  mkdirSync(temporary, { recursive: true, mode: 0o700 })
  const user = serviceUser('mysql', data)
  await createData(dir, data, temporary)
  const account = join(data, 'account.sql')
  writePrivate(account, accountSql(password))
  if (user !== undefined) await run('chown', ['-R', `${user}:${user}`, data, temporary])

  const child = startChild({
    name: 'MariaDB',
    command: 'mariadbd',
    args: [
      '--no-defaults',
      ...(user === undefined && process.getuid?.() === 0 ? ['--user=root'] : []),
      `--datadir=${data}`,
      `--tmpdir=${temporary}`,
      // Relative to the data folder, so that a deep checkout does not break the 107 bytes of a socket's path.
      '--socket=s.sock',
      '--pid-file=mariadb.pid',
      `--init-file=${account}`,
      '--bind-address=127.0.0.1',
      `--port=${port}`,
      '--skip-name-resolve',
      '--character-set-server=utf8mb4',
      '--collation-server=utf8mb4_bin',
      '--performance-schema=off',
      '--innodb-buffer-pool-size=64M',
      '--innodb-log-file-size=16M'
    ],
    logFile: join(dir, 'mariadb.log'),
    user
  })
  const address: MariadbAddress = { host: '127.0.0.1', port, user: setupUser, password, passwordFile }
  await whenReady(child, () => answers(address), 30_000)
  rmSync(account) // It holds the password, and is only needed until the account is there.
  return { ...address, child }
}

/** Made beside and renamed into place, so that a kill in the middle leaves nothing that looks finished. */
async function createData(dir: string, data: string, temporary: string): Promise<void> {
  if (existsSync(data)) return
  const fresh = join(dir, 'data.new')
  rmSync(fresh, { recursive: true, force: true })
  await run('mariadb-install-db', [
    '--no-defaults',
    `--datadir=${fresh}`,
    `--tmpdir=${temporary}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--innodb-log-file-size=16M',
    ...(process.getuid?.() === 0 ? ['--user=root'] : [])
  ])
  renameSync(fresh, data)
}

/** Run by the server itself before it listens: a passwordless root is never reachable. One statement a line. */
function accountSql(password: string): string {
  const account = `'${setupUser}'@'127.0.0.1'`
  return [
    `CREATE USER IF NOT EXISTS ${account};`,
    `ALTER USER ${account} IDENTIFIED VIA mysql_native_password USING PASSWORD('${password}');`,
    `GRANT ${setupRights} ON *.* TO ${account} WITH GRANT OPTION;`,
    `DELETE FROM mysql.global_priv WHERE User = 'root';`,
    `DELETE FROM mysql.proxies_priv;`,
    'FLUSH PRIVILEGES;',
    ''
  ].join('\n')
}

async function answers(address: MariadbAddress): Promise<boolean> {
  const { host, port, user, password } = address
  const connection = await mysql.createConnection({ host, port, user, password, connectTimeout: 1000 })
  await connection.end()
  return true
}
