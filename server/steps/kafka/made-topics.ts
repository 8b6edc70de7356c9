/** Which topics this install has made, by its ledger: those of somebody else are called so. */
import type { RowDataPacket } from 'mysql2/promise'
import { jsonColumn } from '../../../lib/database/rows.ts'
import type { CheckSurroundings } from '../../checks/check.ts'

/** Null: there is no database yet, so nobody knows. @throws what the database throws */
export async function madeTopics({
  services: { database },
  install
}: Pick<CheckSurroundings, 'services' | 'install'>): Promise<ReadonlySet<string> | null> {
  if (database === undefined) return null
  const [rows] = await database.query<RowDataPacket[]>(
    `SELECT name, detail FROM ledger WHERE install_id = ? AND kind = 'topic' AND state <> 'undone'`,
    [install]
  )
  const ours = rows.filter(({ detail }) => jsonColumn<{ ours?: boolean }>(detail).ours !== false)
  return new Set(ours.map(({ name }) => String(name)))
}
