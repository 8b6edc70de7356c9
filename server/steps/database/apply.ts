/**
 * Makes what the checks found possible: the database, its tables, and a user for each service. Each part adopts what is
 * there, so a run that was killed anywhere is finished by the next.
 */
import type { Connection, Pool, RowDataPacket } from 'mysql2/promise'
import { readPrivateFile } from '../../../lib/config/private-file.ts'
import { migrate } from '../../../lib/database/migrate.ts'
import { openPool } from '../../../lib/database/pool.ts'
import { newServicePassword } from '../../../lib/database/service-password.ts'
import { serviceUserName } from '../../../lib/database/service-user.ts'
import { AppError } from '../../../lib/errors/app-error.ts'
import { type ServiceName, serviceNames } from '../../../services/catalog.ts'
import { sweepScratch } from '../../checks/mysql-rights.ts'
import type { ApplyContext } from '../apply-context.ts'
import type { ApplyResult } from '../step.ts'
import { connectionOf, type DatabaseAnswers } from './answers.ts'
import { serviceRights } from './service-rights.ts'
import { migrations } from './upgrade.ts'

/** The name under which a service's database password is kept (ApplyContext.credentialFile). */
export function databaseCredential(service: ServiceName): string {
  return `database-${service}`
}

export async function applyDatabase(answers: DatabaseAnswers, context: ApplyContext): Promise<ApplyResult> {
  const { dbName } = answers
  const connection = connectionOf(answers)
  await withPool(openPool(connection, 1), async (server) => {
    await sweepScratch(server, dbName)
    context.report(`Creating database ${dbName}`)
    await context.effect(
      'schema',
      dbName,
      async () => {
        await server.query(`CREATE DATABASE IF NOT EXISTS \`${dbName}\` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`)
      },
      () => schemaExists(server, dbName)
    )
  })
  // Three: one holds the migration lock, one migrates, one to spare.
  await withPool(openPool({ ...connection, database: dbName }, 3), async (database) => {
    context.report('Creating tables')
    await context.effect('migration', dbName, async () => {
      await migrate(database, migrations, (file) => context.report(`Creating tables: ${file}`))
    })
    const host = await hostAsSeen(database)
    for (const service of serviceNames) {
      const user = serviceUserName(dbName, service)
      context.report(`Creating database user ${user}`)
      const file = await context.credentialFile(databaseCredential(service), newServicePassword)
      await context.effect('database-user', `${user}@${host}`, async () => {
        await makeUser(database, { user, host, password: await passwordIn(file), tls: answers.dbTls })
        await grant(database, dbName, service, user, host)
      })
    }
  })
  return {}
}

/** The rights of the services' users, on whatever tables there are now. */
export async function grantServices(database: Pool, dbName: string): Promise<void> {
  const host = await hostAsSeen(database)
  for (const service of serviceNames) await grant(database, dbName, service, serviceUserName(dbName, service), host)
}

async function schemaExists(server: Pick<Connection, 'query'>, schema: string): Promise<boolean> {
  const [rows] = await server.query<RowDataPacket[]>(
    'SELECT 1 FROM information_schema.schemata WHERE schema_name = ?',
    [schema]
  )
  return rows.length > 0
}

/** The services connect from this machine as we do: their accounts get the host part that the server sees of us. */
async function hostAsSeen(database: Pick<Connection, 'query'>): Promise<string> {
  const [[row]] = await database.query<RowDataPacket[]>('SELECT USER() AS me')
  const me = String(row?.me)
  return me.slice(me.lastIndexOf('@') + 1)
}

interface NewUser {
  readonly user: string
  readonly host: string
  readonly password: string
  readonly tls: boolean
}

/** An account that is there already gets the password of the credential file, which is the one that the service has. */
async function makeUser(database: Pick<Connection, 'query'>, { user, host, password, tls }: NewUser): Promise<void> {
  const wants = `IDENTIFIED BY ? REQUIRE ${tls ? 'SSL' : 'NONE'}`
  await database.query(`CREATE USER IF NOT EXISTS ?@? ${wants}`, [user, host, password])
  await database.query(`ALTER USER ?@? ${wants}`, [user, host, password])
}

async function grant(
  database: Pick<Connection, 'query'>,
  schema: string,
  service: ServiceName,
  user: string,
  host: string
): Promise<void> {
  for (const [table, rights] of Object.entries(serviceRights[service])) {
    await database.query(`GRANT ${rights.join(', ')} ON \`${schema}\`.\`${table}\` TO ?@?`, [user, host])
  }
}

async function passwordIn(file: string): Promise<string> {
  const password = await readPrivateFile(file)
  if (password === null || password === '') throw new AppError('conflict', `The credential file ${file} is missing.`)
  return password
}

async function withPool<T>(pool: Pool, work: (pool: Pool) => Promise<T>): Promise<T> {
  try {
    return await work(pool)
  } finally {
    await pool.end()
  }
}
