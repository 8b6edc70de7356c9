/** How the services are, asked when somebody looks, at most every few seconds. */
import type { Pool } from 'mysql2/promise'
import { z } from 'zod'
import { messageOf } from '../../lib/errors/app-error.ts'
import type { Peer } from './peer.ts'

export interface Health {
  readonly name: string
  readonly title: string
  readonly address: string | null
  readonly state: 'ready' | 'not-ready' | 'no-answer'
  /** A sentence a part that matters. */
  readonly details: readonly string[]
  readonly checkedAt: string
}

export interface HealthBoard {
  readonly look: () => Promise<readonly Health[]>
  readonly database: () => Promise<{ readonly ok: boolean; readonly detail: string }>
}

const freshMs = 3000

const readiness = z.object({
  ready: z.boolean(),
  parts: z.record(z.string(), z.object({ ok: z.boolean(), detail: z.string() }))
})

export function openHealthBoard(pool: Pool, peers: readonly Peer[]): HealthBoard {
  let last: { at: number; board: Promise<readonly Health[]> } | undefined

  const database = () =>
    pool.query('SELECT 1').then(
      () => ({ ok: true, detail: 'answers' }),
      () => ({ ok: false, detail: 'does not answer' })
    )
  const databaseHealth = async (): Promise<Health> => {
    const { ok, detail } = await database()
    return seen({ name: 'database', title: 'Database', address: null }, ok ? 'ready' : 'no-answer', [detail])
  }

  return {
    database,
    look: () => {
      if (last === undefined || Date.now() - last.at > freshMs) {
        last = { at: Date.now(), board: Promise.all([...peers.map(healthOf), databaseHealth()]) }
      }
      return last.board
    }
  }
}

async function healthOf({ name, title, address, get }: Peer): Promise<Health> {
  const who = { name, title, address }
  try {
    const { ready, parts } = readiness.parse(await get('/readyz', [503]))
    const details = Object.entries(parts).map(([part, { detail }]) => `${part}: ${detail}`)
    return seen(who, ready ? 'ready' : 'not-ready', details)
  } catch (thrown) {
    return seen(who, 'no-answer', [messageOf(thrown)])
  }
}

function seen(
  who: Pick<Health, 'name' | 'title' | 'address'>,
  state: Health['state'],
  details: readonly string[]
): Health {
  return { ...who, state, details, checkedAt: new Date().toISOString() }
}
