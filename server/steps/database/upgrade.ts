/** What each start does with the schema of an install that stands. */
import { fileURLToPath } from 'node:url'
import type { Pool } from 'mysql2/promise'
import { migrate } from '../../../lib/database/migrate.ts'

/** Path of the folder of migrations. */
export const migrations = fileURLToPath(new URL('../../../migrations', import.meta.url))

/**
 * For an install of an earlier version, before its services are started: the migrations that came since, and the services' rights
 * on what they made. Costs one look when there are none.
 * @returns names of the migrations that were applied now
 */
export async function upgradeSchema(database: Pool, dbName: string): Promise<readonly string[]> {
  const applied = await migrate(database, migrations)
  if (applied.length > 0) await (await import('./apply.ts')).grantServices(database, dbName)
  return applied
}
