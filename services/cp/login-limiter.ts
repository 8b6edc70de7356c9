/**
 * Slows down guessing: 5 failures an e-mail and 20 an address in 15 minutes, in MySQL, since a cache may forget. An
 * attempt is written before it is judged, so that many at once cannot all pass the count, and is taken back when it
 * was refused unjudged or succeeded.
 */
import { createHash } from 'node:crypto'
import { isIPv6 } from 'node:net'
import type { Pool, ResultSetHeader, RowDataPacket } from 'mysql2/promise'
import { utcNow } from '../../lib/database/pool.ts'

export interface Attempt {
  /** Null: go on and judge. Else when the next attempt is judged again; this one is taken back already. */
  readonly blockedUntil: Date | null
  /** It was the right password: forgets the failures of this e-mail. */
  readonly succeeded: () => Promise<void>
}

export interface LoginLimiter {
  readonly begin: (email: string, address: string) => Promise<Attempt>
}

const windowMs = 15 * 60_000
const mostOfEmail = 5
const mostOfAddress = 20

export function openLoginLimiter(database: Pool): LoginLimiter {
  const insert = async (subject: string): Promise<number> => {
    const [result] = await database.query<ResultSetHeader>('INSERT INTO login_attempts (subject, at) VALUES (?, ?)', [
      subject,
      utcNow()
    ])
    return result.insertId
  }

  /** The others before it in the window fill the limit: until the oldest of those that count is out of it. */
  const blockedUntil = async (subject: string, mine: number, most: number): Promise<Date | null> => {
    const [rows] = await database.query<RowDataPacket[]>(
      'SELECT at FROM login_attempts WHERE subject = ? AND at > ? AND id <> ? ORDER BY at DESC LIMIT 1 OFFSET ?',
      [subject, windowStart(), mine, most - 1]
    )
    const [row] = rows
    return row === undefined ? null : new Date(Date.parse(`${String(row.at).replace(' ', 'T')}Z`) + windowMs)
  }

  return {
    begin: async (email, address) => {
      const subjects = { email: emailSubject(email), address: addressSubject(address) }
      const [ofEmail, ofAddress] = await Promise.all([insert(subjects.email), insert(subjects.address)])
      const blocks = await Promise.all([
        blockedUntil(subjects.email, ofEmail, mostOfEmail),
        blockedUntil(subjects.address, ofAddress, mostOfAddress)
      ])
      const until = Math.max(...blocks.map((block) => block?.getTime() ?? 0))
      if (until > 0) {
        await database.query('DELETE FROM login_attempts WHERE id IN (?)', [[ofEmail, ofAddress]])
        return { blockedUntil: new Date(until), succeeded: async () => {} }
      }
      return {
        blockedUntil: null,
        succeeded: async () => {
          await database.query('DELETE FROM login_attempts WHERE id = ? OR subject = ?', [ofAddress, subjects.email])
          await database.query('DELETE FROM login_attempts WHERE at < ? ORDER BY id LIMIT 1000', [windowStart()])
        }
      }
    }
  }
}

function windowStart(): string {
  return utcNow(new Date(Date.now() - windowMs))
}

/** Hashed: people type passwords into the wrong field. */
function emailSubject(email: string): string {
  return `email:${createHash('sha256').update(email).digest('hex')}`
}

/** An IPv6 host has a /64 to itself, so that is what counts. */
function addressSubject(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return `address:${address}`
  const [head = '', tail = ''] = address.split('::')
  const groups = head.split(':').filter(Boolean)
  const after = tail.split(':').filter(Boolean)
  const whole = [...groups, ...Array(Math.max(0, 8 - groups.length - after.length)).fill('0'), ...after]
  return `address:${whole.slice(0, 4).join(':')}::/64`
}
