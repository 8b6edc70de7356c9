/** The migrations alone: the same files by the same code, on a schema of its own, in a process that does nothing else. */
import { join } from 'node:path'
import { migrate } from '../lib/database/migrate.ts'
import { openPool } from '../lib/database/pool.ts'
import type { MariadbAddress } from '../sandbox/mariadb.ts'
import { freshName } from '../sandbox/testing.ts'

process.once('disconnect', () => process.exit(0))
process.once('message', async (mariadb: MariadbAddress) => {
  const schema = freshName('bench')
  const setup = openPool(mariadb, 1)
  await setup.query(`CREATE DATABASE \`${schema}\``)
  // As the database step has it: one for the lock, one that migrates, one to spare.
  const database = openPool({ ...mariadb, database: schema }, 3)
  await database.query('SELECT 1')
  const began = performance.now()
  await migrate(database, join(import.meta.dirname, '../migrations'))
  const ms = performance.now() - began
  await database.end()
  await setup.query(`DROP DATABASE \`${schema}\``)
  await setup.end()
  process.send?.(ms)
})
