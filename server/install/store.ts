/**
 * Answers with revisions and the ledger of effects: in the boot file until the database step is done, in MySQL from
 * then on. `moveIn` carries the boot state over, once.
 */
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { utcNow, withTransaction } from '../../lib/database/pool.ts'
import { iso, isoOrNull, jsonColumn } from '../../lib/database/rows.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import type { Finding } from '../checks/check.ts'
import type { EffectKind } from '../steps/apply-context.ts'
import type { FieldValue } from '../steps/define-step.ts'
import { type StepId, stepIds } from '../steps/step.ts'
import type { BootFile, SecretPlace, StoredAnswers } from './boot-file.ts'
import type { AnswersByStep } from './progress.ts'

export interface NewAnswers {
  readonly values: Readonly<Record<string, FieldValue>>
  readonly secrets: Readonly<Record<string, SecretPlace>>
  readonly findings: readonly Finding[]
  readonly actor: string
}

export interface InstallStore {
  readonly answers: () => Promise<AnswersByStep>
  /** Saves the next revision, not applied yet. @throws AppError conflict when somebody saved in between */
  readonly save: (step: StepId, expected: number, next: NewAnswers) => Promise<number>
  /** @param at when nothing but a secret changed: the time of the revision before, so that no later step goes stale */
  readonly markApplied: (step: StepId, revision: number, at?: string) => Promise<void>
  /** Every effect of this install, in the order in which they were first intended. */
  readonly ledger: () => Promise<readonly LedgerRow[]>
  /** @param ours false: it was there before us; the first time that an effect is intended says so for good */
  readonly intend: (step: StepId, kind: EffectKind, name: string, ours: boolean) => Promise<void>
  readonly done: (kind: EffectKind, name: string) => Promise<void>
  readonly finish: () => Promise<void>
}

export interface LedgerRow {
  readonly step: string
  readonly kind: string
  readonly name: string
  readonly state: 'intent' | 'done' | 'undone'
  /** False: it was there before us, and stays when the install is destroyed. */
  readonly ours: boolean
}

/** Before the database. Only one process has the state folder, so the file is the truth. */
export function bootStore(boot: BootFile): InstallStore {
  return {
    answers: async () => byStep(Object.entries(boot.state().answers)),
    save: async (step, expected, next) => {
      const revision = expected + 1
      if ((boot.state().answers[step]?.revision ?? 0) !== expected) throw moved(step)
      const row: StoredAnswers = {
        revision,
        values: writable(next.values),
        secrets: { ...next.secrets },
        findings: next.findings.map((finding) => ({ ...finding })),
        actor: next.actor,
        at: new Date().toISOString(),
        appliedAt: null
      }
      await boot.change((state) => ({ ...state, answers: { ...state.answers, [step]: row } }))
      return revision
    },
    markApplied: (step, _revision, at = new Date().toISOString()) =>
      boot.change((state) => {
        const row = state.answers[step]
        if (row === undefined) return state
        return { ...state, answers: { ...state.answers, [step]: { ...row, appliedAt: at } } }
      }),
    ledger: async () =>
      boot.state().ledger.map(({ step, kind, name, state, ours }) => ({ step, kind, name, state, ours })),
    intend: (step, kind, name, ours) =>
      boot.change((state) => {
        const known = state.ledger.find((row) => row.kind === kind && row.name === name)
        const others = state.ledger.filter((row) => row !== known)
        const row = {
          step,
          kind,
          name,
          state: 'intent' as const,
          at: new Date().toISOString(),
          ours: known?.ours ?? ours
        }
        return { ...state, ledger: [...others, row] }
      }),
    done: (kind, name) =>
      boot.change((state) => ({
        ...state,
        ledger: state.ledger.map((row) => (row.kind === kind && row.name === name ? { ...row, state: 'done' } : row))
      })),
    finish: async () => {
      throw new AppError('out-of-order', 'The database step is not done.')
    }
  }
}

export function mysqlStore(pool: Pool, boot: BootFile): InstallStore {
  const { install } = boot.state()
  return {
    answers: async () => {
      const [rows] = await pool.query<RowDataPacket[]>(
        `SELECT a.* FROM answers a JOIN (SELECT step, MAX(revision) AS revision FROM answers WHERE install_id = ?
         GROUP BY step) latest ON latest.step = a.step AND latest.revision = a.revision WHERE a.install_id = ?`,
        [install, install]
      )
      return byStep(rows.map((row) => [String(row.step), storedRow(row)]))
    },
    save: async (step, expected, next) => {
      try {
        await insertAnswers(pool, install, step, expected + 1, {
          ...next,
          at: new Date().toISOString(),
          appliedAt: null
        })
      } catch (thrown) {
        // The primary key (install, step, revision) lets exactly one of two savers win.
        if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ER_DUP_ENTRY') throw moved(step)
        throw thrown
      }
      return expected + 1
    },
    markApplied: async (step, revision, at) => {
      await pool.query('UPDATE answers SET applied_at = ? WHERE install_id = ? AND step = ? AND revision = ?', [
        utcNow(at === undefined ? new Date() : new Date(at)),
        install,
        step,
        revision
      ])
    },
    ledger: async () => {
      const [rows] = await pool.query<RowDataPacket[]>(
        'SELECT step, kind, name, state, detail FROM ledger WHERE install_id = ? ORDER BY id',
        [install]
      )
      return rows.map(({ step, kind, name, state, detail }) => {
        const { ours = true } = jsonColumn<{ ours?: boolean }>(detail)
        return { step, kind, name, state, ours }
      })
    },
    intend: async (step, kind, name, ours) => {
      await pool.query(
        `INSERT INTO ledger (install_id, step, kind, name, state, detail, intended_at) VALUES (?, ?, ?, ?, 'intent', ?, ?)
         ON DUPLICATE KEY UPDATE state = IF(state = 'done', 'done', 'intent')`,
        [install, step, kind, name, JSON.stringify({ ours }), utcNow()]
      )
    },
    done: async (kind, name) => {
      await pool.query(`UPDATE ledger SET state = 'done', done_at = ? WHERE install_id = ? AND kind = ? AND name = ?`, [
        utcNow(),
        install,
        kind,
        name
      ])
    },
    finish: async () => {
      await pool.query('UPDATE installs SET finished_at = COALESCE(finished_at, ?) WHERE id = ?', [utcNow(), install])
      await boot.change((state) => ({ ...state, finishedAt: state.finishedAt ?? new Date().toISOString() }))
    }
  }
}

/** Carries boot answers and ledger into MySQL; idempotent. @throws AppError conflict when the schema is another install's */
export async function moveIn(pool: Pool, boot: BootFile): Promise<void> {
  const { install, createdAt, answers, ledger } = boot.state()
  await withTransaction(pool, async (connection) => {
    const [others] = await connection.query<RowDataPacket[]>('SELECT id FROM installs WHERE id <> ? LIMIT 1', [install])
    if (others[0] !== undefined) {
      throw new AppError('conflict', `The database belongs to another install (${others[0].id}).`, {
        cure: 'Choose an empty database, or restore the state folder of that install.'
      })
    }
    await connection.query('INSERT IGNORE INTO installs (id, created_at) VALUES (?, ?)', [
      install,
      utcNow(new Date(createdAt))
    ])
    for (const [step, row] of Object.entries(answers)) {
      const [known] = await connection.query<RowDataPacket[]>(
        'SELECT revision FROM answers WHERE install_id = ? AND step = ? AND revision = ?',
        [install, step, row.revision]
      )
      if (known.length === 0) await insertAnswers(connection, install, step, row.revision, row)
    }
    for (const row of ledger) {
      await connection.query(
        `INSERT INTO ledger (install_id, step, kind, name, state, detail, intended_at, done_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE state = VALUES(state)`,
        [
          ...[install, row.step, row.kind, row.name, row.state, JSON.stringify({ ours: row.ours })],
          ...[utcNow(new Date(row.at)), utcNow()]
        ]
      )
    }
  })
}

async function insertAnswers(
  connection: Pick<Pool, 'query'>,
  install: string,
  step: string,
  revision: number,
  row: Pick<StoredAnswers, 'at' | 'appliedAt' | 'actor'> & {
    readonly values: object
    readonly secrets: object
    readonly findings: readonly object[]
  }
): Promise<void> {
  await connection.query(
    `INSERT INTO answers (install_id, step, revision, answer_values, secrets, findings, actor, created_at, applied_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      install,
      step,
      revision,
      JSON.stringify(row.values),
      JSON.stringify(row.secrets),
      JSON.stringify(row.findings),
      row.actor,
      utcNow(new Date(row.at)),
      row.appliedAt === null ? null : utcNow(new Date(row.appliedAt))
    ]
  )
}

function storedRow(row: RowDataPacket): StoredAnswers {
  return {
    revision: Number(row.revision),
    values: jsonColumn(row.answer_values),
    secrets: jsonColumn(row.secrets),
    findings: jsonColumn(row.findings),
    actor: String(row.actor),
    at: iso(row.created_at),
    appliedAt: isoOrNull(row.applied_at)
  }
}

function byStep(rows: readonly (readonly [string, StoredAnswers])[]): AnswersByStep {
  const known = new Set<string>(stepIds)
  return new Map(rows.filter(([step]) => known.has(step)) as [StepId, StoredAnswers][])
}

function writable(values: NewAnswers['values']): StoredAnswers['values'] {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, typeof value === 'object' ? [...value] : value])
  )
}

function moved(step: string): AppError {
  return new AppError('conflict', `Somebody else has saved the step ${step} meanwhile.`, {
    cure: 'Open the step again and look at what stands there now.'
  })
}
