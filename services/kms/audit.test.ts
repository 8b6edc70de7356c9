import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import { pino } from 'pino'
import { openPool } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import { newDatabase } from '../testing/database.ts'
import { openAudit } from './audit.ts'

const { pool, loginOf } = await newDatabase('kms')
const kms = await loginOf('kms')
const own = openPool(kms)
after(() => own.end())
const silent = pino({ level: 'silent' })
const audit = openAudit(own, silent)
const entry = { actor: 'dae', action: 'device-certificate.issue', subject: 'a', requestId: 'r' }

async function outcomes(subject: string): Promise<string[]> {
  const [rows] = await pool.query<RowDataPacket[]>('SELECT outcome FROM kms_audit WHERE subject = ?', [subject])
  return rows.map((row) => String(row.outcome))
}

test('a call is on record before its answer is given', async () => {
  assert.equal(await audit.recorded({ ...entry, subject: 'done' }, async () => 42), 42)
  assert.deepEqual(await outcomes('done'), ['done'])
})

test('a call that fails is on record with its code, and its error reaches the caller', async () => {
  const refused = new AppError('invalid-input', 'no')
  await assert.rejects(
    audit.recorded({ ...entry, subject: 'refused' }, () => Promise.reject(refused)),
    refused
  )
  assert.deepEqual(await outcomes('refused'), ['invalid-input'])
})

test('a hundred calls at once are each on record once, in one insert', async () => {
  let inserts = 0
  const counting = Object.assign(Object.create(own), {
    query: (...query: Parameters<typeof own.query>) => {
      inserts += 1
      return own.query(...query)
    }
  })
  const counted = openAudit(counting, silent)
  const subjects = Array.from({ length: 100 }, (_, index) => `many-${index}`)
  await Promise.all(subjects.map((subject) => counted.recorded({ ...entry, subject }, async () => subject)))
  const [rows] = await pool.query<RowDataPacket[]>(`SELECT subject FROM kms_audit WHERE subject LIKE 'many-%'`)
  assert.deepEqual(rows.map((row) => String(row.subject)).sort(), subjects.sort())
  assert.equal(inserts, 1)
})

test('without a database there is no answer', async () => {
  const gone = openPool({ ...kms, port: 1 })
  after(() => gone.end())
  await assert.rejects(
    openAudit(gone, silent).recorded(entry, async () => 'signed'),
    { code: 'database-unavailable' }
  )
})
