/** Where answers wait for who asks again: the file before the database step, MySQL after it. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { openPool } from '../../lib/database/pool.ts'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import { type KeptRequest, openAnswerMemory } from './answer-memory.ts'

const folder = mkdtempSync(join(tmpdir(), 'answer-memory-'))
after(() => rmSync(folder, { recursive: true }))

const hash = (letter: string) => letter.repeat(64)
const kept = (key: string, more: Partial<KeptRequest> = {}): KeptRequest => ({
  keyHash: hash(key),
  requestMac: hash('b'),
  holderHash: hash('c'),
  answer: { status: 303, contentType: 'application/json', location: '/next', body: '{"ok":true}' },
  at: new Date().toISOString(),
  ...more
})
const told = ({ at: _at, ...rest }: KeptRequest) => rest

test('begun in the file, kept in MySQL once the database step is done, for this install alone and for a day', async (t) => {
  const { mariadb } = await sharedSandbox(['mariadb'])
  const name = freshName('answers')
  const admin = openPool(mariadb, 1)
  await admin.query(`CREATE DATABASE \`${name}\``)
  const pool = openPool({ ...mariadb, database: name }, 2)
  t.after(async () => {
    await pool.end()
    await admin.query(`DROP DATABASE \`${name}\``)
    await admin.end()
  })
  let database: Pool | null = null
  const memory = openAnswerMemory({ id: 'i-1', stateDir: folder, database: () => database })

  await memory.keep(kept('a', { answer: null }))
  assert.equal((await memory.find(hash('a')))?.answer, null)

  // As services of this version meet a schema that is not migrated yet.
  database = pool
  await memory.keep(kept('a'))
  assert.deepEqual(told((await memory.find(hash('a'))) ?? assert.fail()), told(kept('a')))

  const file = join(import.meta.dirname, '../../migrations/0041-create-idempotency-keys.sql')
  await pool.query(readFileSync(file, 'utf8').replace(/^--.*$/gm, ''))
  assert.deepEqual(told((await memory.find(hash('a'))) ?? assert.fail()), told(kept('a')))
  await memory.keep(kept('d', { answer: null }))
  await memory.keep(kept('d'))
  assert.deepEqual(told((await memory.find(hash('d'))) ?? assert.fail()), told(kept('d')))
  assert.equal(readFileSync(join(folder, 'idempotency.json'), 'utf8').includes(hash('d')), false)
  const other = openAnswerMemory({ id: 'i-2', stateDir: join(folder, 'other'), database: () => pool })
  assert.equal(await other.find(hash('d')), null)

  const yesterday = new Date(Date.now() - 24 * 3_600_000 - 1000).toISOString()
  await memory.keep(kept('e', { at: yesterday }))
  assert.equal(await memory.find(hash('e')), null)
  await memory.keep(kept('f'))
  const [rows] = await pool.query<RowDataPacket[]>('SELECT key_hash FROM idempotency_keys ORDER BY key_hash')
  assert.deepEqual(
    rows.map(({ key_hash }) => key_hash),
    [hash('d'), hash('f')]
  )
})

test("the HMAC is this install's own: the same request has another one elsewhere, and the same after a restart", async () => {
  const open = (stateDir: string) =>
    openAnswerMemory({ id: 'i', stateDir: join(folder, stateDir), database: () => null })
  const first = await open('one').mac('request')
  assert.equal(await open('one').mac('request'), first)
  assert.notEqual(await open('two').mac('request'), first)
  assert.notEqual(await open('one').mac('another'), first)
})
