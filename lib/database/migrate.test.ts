import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import { migrate } from './migrate.ts'
import { openPool } from './pool.ts'

const { mariadb } = await sharedSandbox(['mariadb'])
const server = openPool(mariadb, 1)
const database = freshName('migrate')
await server.query(`CREATE DATABASE ${database}`)
const pool = openPool({ ...mariadb, database })
const folder = mkdtempSync(join(tmpdir(), 'ks-migrations-'))
const file = (name: string, sql: string) => writeFileSync(join(folder, name), sql)
after(async () => {
  await pool.end()
  await server.query(`DROP DATABASE ${database}`)
  await server.end()
  rmSync(folder, { recursive: true })
})

test('migrations run once each, in the order of their names, whoever asks at the same time', async () => {
  file('0002-fill.sql', 'INSERT INTO things (id) VALUES (1)')
  file('0001-create.sql', 'CREATE TABLE things (id INT NOT NULL PRIMARY KEY) ENGINE = InnoDB')
  const runs = await Promise.all([migrate(pool, folder), migrate(pool, folder)])
  assert.deepEqual(runs.flat(), ['0001-create.sql', '0002-fill.sql'])
  const [things] = await pool.query<RowDataPacket[]>('SELECT id FROM things')
  assert.equal(things.length, 1)
})

test('where nothing is pending a look is all: it does not wait for whoever holds the lock', async () => {
  const holder = await pool.getConnection()
  try {
    await holder.beginTransaction()
    await holder.query('SELECT id FROM schema_lock WHERE id = 1 FOR UPDATE')
    assert.deepEqual(await migrate(pool, folder), [])
  } finally {
    await holder.rollback()
    holder.release()
  }
})

test('a file that was changed after it ran is refused by name, and nothing runs', async () => {
  file('0001-create.sql', 'CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY) ENGINE = InnoDB')
  file('0003-more.sql', 'CREATE TABLE more (id INT NOT NULL PRIMARY KEY) ENGINE = InnoDB')
  await assert.rejects(migrate(pool, folder), { code: 'conflict', message: /0001-create\.sql/ })
  const [tables] = await pool.query<RowDataPacket[]>("SHOW TABLES LIKE 'more'")
  assert.equal(tables.length, 0)
})
