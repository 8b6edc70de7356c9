/**
 * What was answered to a POST with an Idempotency-Key, for 24 hours: in a 0600 file until the database step is done, in
 * MySQL from then on. Of key and token a SHA-256 is kept, of the request an HMAC under a key of this install: a body may
 * hold a PIN, and a plain hash of one could be guessed. The caller leaves secrets out of the answer.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { z } from 'zod'
import { readPrivateFile, readPrivateJson, writePrivateFile } from '../../lib/config/private-file.ts'
import { utcNow } from '../../lib/database/pool.ts'
import type { Install } from './install.ts'

const keptHours = 24

const keptAnswer = z.strictObject({
  status: z.int(),
  contentType: z.string().nullable(),
  location: z.string().nullable(),
  body: z.string()
})
export type KeptAnswer = z.infer<typeof keptAnswer>

const keptRequest = z.strictObject({
  keyHash: z.string(),
  requestMac: z.string(),
  holderHash: z.string(),
  /** null: begun, and how it ended is not known (a kill in between). */
  answer: keptAnswer.nullable(),
  at: z.string()
})
export type KeptRequest = z.infer<typeof keptRequest>
const fileShape = z.array(keptRequest)

export interface AnswerMemory {
  /** HMAC-SHA-256 under this install's own key, hex. */
  readonly mac: (request: string) => Promise<string>
  readonly find: (keyHash: string) => Promise<KeptRequest | null>
  /** Writes or replaces what is kept under its key, and forgets what is older than a day. */
  readonly keep: (kept: KeptRequest) => Promise<void>
}

export function openAnswerMemory({
  id,
  stateDir,
  database
}: Pick<Install, 'id' | 'stateDir' | 'database'>): AnswerMemory {
  const file = fileMemory(join(stateDir, 'idempotency.json'))
  let macKey: Promise<Buffer> | undefined
  return {
    mac: async (request) => {
      macKey ??= keyIn(join(stateDir, 'idempotency.key'))
      return createHmac('sha256', await macKey)
        .update(request)
        .digest('hex')
    },
    find: async (keyHash) => {
      const pool = database()
      const kept = pool === null ? null : await unlessOlder(() => findRow(pool, id, keyHash), null)
      return kept ?? file.find(keyHash)
    },
    keep: async (kept) => {
      const pool = database()
      const moved = pool !== null && (await unlessOlder(() => keepRow(pool, id, kept), false))
      await (moved ? file.forget(kept.keyHash) : file.keep(kept))
    }
  }
}

async function keyIn(path: string): Promise<Buffer> {
  const known = await readPrivateFile(path)
  if (known !== null) return Buffer.from(known, 'hex')
  const fresh = randomBytes(32)
  await writePrivateFile(path, fresh.toString('hex'))
  return fresh
}

const oldestGood = () => new Date(Date.now() - keptHours * 3_600_000)

/** One file, rewritten whole; writers take turns. */
function fileMemory(path: string) {
  let last: Promise<unknown> = Promise.resolve()
  const read = async (): Promise<readonly KeptRequest[]> => {
    const all =
      (await readPrivateJson(path, fileShape, 'Remove it: requests that were sent before may be done again.')) ?? []
    return all.filter(({ at }) => at > oldestGood().toISOString())
  }
  const change = (next: (all: readonly KeptRequest[]) => readonly KeptRequest[]): Promise<void> => {
    const mine = last.then(async () => {
      const all = await read()
      const changed = next(all)
      if (changed.length > 0 || all.length > 0) await writePrivateFile(path, JSON.stringify(changed))
    })
    last = mine.catch(() => {})
    return mine
  }
  const without = (all: readonly KeptRequest[], keyHash: string) => all.filter((kept) => kept.keyHash !== keyHash)
  return {
    find: async (keyHash: string) => (await read()).find((kept) => kept.keyHash === keyHash) ?? null,
    keep: (kept: KeptRequest) => change((all) => [...without(all, kept.keyHash), kept]),
    forget: (keyHash: string) => change((all) => without(all, keyHash))
  }
}

async function findRow(pool: Pool, install: string, keyHash: string): Promise<KeptRequest | null> {
  const [rows] = await pool.query<RowDataPacket[]>(
    'SELECT * FROM idempotency_keys WHERE install_id = ? AND key_hash = ? AND created_at > ?',
    [install, keyHash, utcNow(oldestGood())]
  )
  const [row] = rows
  if (row === undefined) return null
  return {
    keyHash,
    requestMac: String(row.request_mac),
    holderHash: String(row.holder_hash),
    answer: row.answer === null ? null : keptAnswer.parse(JSON.parse(row.answer)),
    at: String(row.created_at)
  }
}

async function keepRow(pool: Pool, install: string, { keyHash, requestMac, holderHash, answer, at }: KeptRequest) {
  const text = answer === null ? null : JSON.stringify(answer)
  await pool.query('DELETE FROM idempotency_keys WHERE created_at <= ?', [utcNow(oldestGood())])
  await pool.query(
    `INSERT INTO idempotency_keys (install_id, key_hash, request_mac, holder_hash, answer, created_at)
     VALUES (?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE request_mac = VALUES(request_mac),
     holder_hash = VALUES(holder_hash), answer = VALUES(answer), created_at = VALUES(created_at)`,
    [install, keyHash, requestMac, holderHash, text, utcNow(new Date(at))]
  )
  return true
}

/** A schema of before this table existed: its file goes on until the database step migrates it. */
async function unlessOlder<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ER_NO_SUCH_TABLE') return otherwise
    throw thrown
  }
}
