/**
 * The audit record: one kms_audit row for every call that makes or uses a key, durable before the answer leaves. Without the
 * record there is no answer. Rows of calls that come while an insert is on its way go together with the next one.
 */
import type { Pool } from 'mysql2/promise'
import type { Logger } from 'pino'
import { asDatabaseError, utcNow } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { within } from '../../lib/process/within.ts'

export interface AuditEntry {
  /** Role of the caller. */
  readonly actor: string
  /** `data-key.unwrap` */
  readonly action: string
  /** What it was about: tenant, key id, context. No secret. */
  readonly subject: string
  readonly requestId: string
}

export interface Audit {
  /**
   * Does the work and records how it ended ("done", or the error's code).
   * @param work may say what it is about once it knows
   * @throws what the work throws; AppError database-unavailable when it was done but could not be recorded
   */
  readonly recorded: <T>(entry: AuditEntry, work: (about: (subject: string) => void) => Promise<T>) => Promise<T>
}

const rowsAtOnce = 200
/** Whoever waits longer is told that there is no database; the row may be written all the same. */
const writeMs = 4000

export function openAudit(database: Pool, log: Logger): Audit {
  const write = batched(rowsAtOnce, async (rows: readonly string[][]) => {
    const places = rows.map(() => '(?, ?, ?, ?, ?, ?)').join(', ')
    await database.query(
      `INSERT INTO kms_audit (at, actor, action, subject, outcome, request_id) VALUES ${places}`,
      rows.flat()
    )
  })
  const record = async ({ actor, action, subject, requestId }: AuditEntry, outcome: string) => {
    const written = write([utcNow(), actor, action, subject.slice(0, 190), outcome, requestId])
    try {
      await within(writeMs, 'writing the audit record', () => written)
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw asDatabaseError(thrown)
      throw new AppError('database-unavailable', 'The audit record cannot be written in time.', { cause: thrown })
    }
  }
  return {
    recorded: async (known, work) => {
      let entry = known
      let result: Awaited<ReturnType<typeof work>>
      try {
        result = await work((subject) => {
          entry = { ...known, subject }
        })
      } catch (thrown) {
        const outcome = thrown instanceof AppError ? thrown.code : 'internal'
        await record(entry, outcome).catch((err) =>
          log.error({ err, ...entry, outcome }, 'a failed call is not audited')
        )
        throw thrown
      }
      await record(entry, 'done')
      return result
    }
  }
}

/** One `flush` at a time; what arrives meanwhile shares the next one, and its fate. */
function batched<Item>(most: number, flush: (items: readonly Item[]) => Promise<void>): (item: Item) => Promise<void> {
  interface Waiting {
    readonly item: Item
    readonly resolve: () => void
    readonly reject: (reason: unknown) => void
  }
  const waiting: Waiting[] = []
  let busy = false

  async function drain(): Promise<void> {
    for (let batch = waiting.splice(0, most); batch.length > 0; batch = waiting.splice(0, most)) {
      try {
        await flush(batch.map((one) => one.item))
        for (const one of batch) one.resolve()
      } catch (thrown) {
        for (const one of batch) one.reject(thrown)
      }
    }
    busy = false
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (busy) return
      busy = true
      // Signatures come from the agent several at once: else the first would be written alone, and the others wait for its commit.
      setImmediate(drain)
    })
}
