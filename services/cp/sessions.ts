/** Sessions are rows: ended on the server, and a thief of the table gets hashes, not cookies. */
import { createHash, randomBytes } from 'node:crypto'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { utcNow } from '../../lib/database/pool.ts'

export interface Administrator {
  readonly id: string
  readonly tenant: string
  readonly fullName: string
  readonly email: string
}

export interface Session {
  readonly administrator: Administrator
  /** What every POST of this session must bring. */
  readonly csrf: string
}

export interface Sessions {
  /** @returns the cookie's value, 256 random bits, which is not kept */
  readonly open: (administratorId: string) => Promise<{ readonly token: string; readonly csrf: string }>
  /** Null when there is none, it is over, or its administrator is gone. */
  readonly find: (token: string | undefined) => Promise<Session | null>
  readonly end: (token: string | undefined) => Promise<void>
}

export function openSessions(database: Pool, days: number): Sessions {
  return {
    open: async (administratorId) => {
      const [token, csrf] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')]
      const now = new Date()
      await database.query('DELETE FROM sessions WHERE expires_at <= ?', [utcNow(now)])
      await database.query(
        'INSERT INTO sessions (id_hash, administrator_id, csrf, created_at, expires_at) VALUES (?, ?, ?, ?, ?)',
        [hashOf(token), administratorId, csrf, utcNow(now), utcNow(new Date(now.getTime() + days * 86_400_000))]
      )
      return { token, csrf }
    },
    find: async (token) => {
      if (token === undefined) return null
      const [rows] = await database.query<RowDataPacket[]>(
        `SELECT a.id, a.tenant, a.full_name, a.email, s.csrf FROM sessions s
         JOIN administrators a ON a.id = s.administrator_id WHERE s.id_hash = ? AND s.expires_at > ?`,
        [hashOf(token), utcNow()]
      )
      const [row] = rows
      if (row === undefined) return null
      const { id, tenant, full_name: fullName, email, csrf } = row
      return { administrator: { id, tenant, fullName, email }, csrf }
    },
    end: async (token) => {
      if (token !== undefined) await database.query('DELETE FROM sessions WHERE id_hash = ?', [hashOf(token)])
    }
  }
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
