/** A database of the test file's own, and users with the rights that the wizard gives to a service, and no other. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Pool } from 'mysql2/promise'
import { migrate } from '../../lib/database/migrate.ts'
import { type DatabaseConnection, openPool } from '../../lib/database/pool.ts'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import { serviceRights } from '../../server/steps/database/service-rights.ts'
import type { ServiceName } from '../catalog.ts'
import { atEnd } from './test-file.ts'

export interface DatabaseLogin extends DatabaseConnection {
  readonly database: string
}

export interface TestDatabase {
  /** As the owner of the schema. */
  readonly pool: Pool
  /** A new user of that service. */
  readonly loginOf: (service: ServiceName) => Promise<DatabaseLogin>
}

/** With all tables, dropped with the test file. @param name begins the schema's name */
export async function newDatabase(name: string): Promise<TestDatabase> {
  const { mariadb } = await sharedSandbox(['mariadb'])
  const database = freshName(name)
  const setup = openPool(mariadb, 2)
  await setup.query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`)
  const pool = openPool({ ...mariadb, database })
  const users: string[] = []
  atEnd(async () => {
    await pool.end()
    for (const user of users) await setup.query(`DROP USER ${user}`)
    await setup.query(`DROP DATABASE ${database}`)
    await setup.end()
  })
  await migrate(pool, join(import.meta.dirname, '../../migrations'))
  const loginOf = async (service: ServiceName): Promise<DatabaseLogin> => {
    const [user, password] = [freshName(service), randomBytes(12).toString('hex')]
    const account = `'${user}'@'127.0.0.1'`
    await setup.query(`CREATE USER ${account} IDENTIFIED BY '${password}'`)
    users.push(account)
    for (const [table, rights] of Object.entries(serviceRights[service])) {
      await setup.query(`GRANT ${rights.join(', ')} ON ${database}.${table} TO ${account}`)
    }
    return { host: mariadb.host, port: mariadb.port, user, password, database }
  }
  return { pool, loginOf }
}
