/** Takes away what the database step made: the services' users, and the schema when nobody is enrolled in it. */
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { asDatabaseError, openPool } from '../../../lib/database/pool.ts'
import type { Undo, UndoContext, Undone, Undos } from '../undo-context.ts'
import { connectionOf, databaseAnswers } from './answers.ts'

const undoDatabaseUser: Undo = (name, context) =>
  asAdministrator(context, async (server) => {
    const at = name.lastIndexOf('@')
    const [user, host] = [name.slice(0, at), name.slice(at + 1)]
    await server.query('DROP USER IF EXISTS ?@?', [user, host])
    return 'removed'
  })

/** Every table is ours: the database step takes a schema that is empty, or this install's own. */
const undoMigration: Undo = (schema, context) =>
  asAdministrator(context, async (server) => {
    const why = await whyKept(server, schema, context)
    if (why !== null) return { left: why }
    const [tables] = await server.query<RowDataPacket[]>(
      'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ?',
      [schema]
    )
    for (const { name } of tables) await server.query(`DROP TABLE IF EXISTS \`${schema}\`.\`${name}\``)
    return tables.length === 0 ? 'absent' : 'removed'
  })

const undoSchema: Undo = (schema, context) =>
  asAdministrator(context, async (server) => {
    const why = await whyKept(server, schema, context)
    if (why !== null) return { left: why }
    await server.query(`DROP DATABASE IF EXISTS \`${schema}\``)
    return 'removed'
  })

/** Enrolled devices hold certificates that only this database knows of: then its name must have been typed. */
async function whyKept(server: Pool, schema: string, { confirmed }: UndoContext): Promise<string | null> {
  if (confirmed.database === schema) return null
  const devices = await rowsIn(server, schema, 'devices')
  if (devices === 0) return null
  return `${devices} devices are enrolled in ${schema}, and --delete-database ${schema} was not given; by hand: DROP DATABASE`
}

async function rowsIn(server: Pool, schema: string, table: string): Promise<number> {
  const [known] = await server.query<RowDataPacket[]>(
    'SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?',
    [schema, table]
  )
  if (known.length === 0) return 0
  const [[counted]] = await server.query<RowDataPacket[]>(`SELECT COUNT(*) AS n FROM \`${schema}\`.\`${table}\``)
  return Number(counted?.n ?? 0)
}

async function asAdministrator(context: UndoContext, work: (server: Pool) => Promise<Undone>): Promise<Undone> {
  const answers = databaseAnswers.parse({
    ...(await context.answersOf('database')),
    dbPassword: await context.secretOf('database', 'dbPassword')
  })
  const server = openPool(connectionOf(answers), 1)
  try {
    return await work(server)
  } catch (thrown) {
    throw asDatabaseError(thrown)
  } finally {
    await server.end()
  }
}

export const undoDatabase: Undos = {
  'database-user': undoDatabaseUser,
  migration: undoMigration,
  schema: undoSchema
}
