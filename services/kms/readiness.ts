import type { Pool } from 'mysql2/promise'
import { messageOf } from '../../lib/errors/app-error.ts'
import { within } from '../../lib/process/within.ts'
import type { Readiness } from '../../lib/service/service.ts'
import type { KeyStoreLink } from './key-store-link.ts'

/** Never logs in and never waits for the token: the link knows its own state. */
export async function readiness(link: KeyStoreLink, database: Pool, profile: string): Promise<Readiness> {
  const { open, detail } = link.state()
  const protection = profile === 'nss' ? ' (software-only, not HSM-protected)' : ''
  const parts = { keyStore: { ok: open, detail: `${detail}${protection}` }, database: await databasePart(database) }
  return { ready: open && parts.database.ok, parts }
}

async function databasePart(database: Pool): Promise<{ ok: boolean; detail: string }> {
  try {
    await within(2000, 'the database', () => database.query('SELECT 1'))
    return { ok: true, detail: 'answers' }
  } catch (thrown) {
    return { ok: false, detail: messageOf(thrown) }
  }
}
