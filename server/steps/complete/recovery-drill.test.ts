import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openPool, utcNow } from '../../../lib/database/pool.ts'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { KmsClient } from '../../../lib/kms-client/kms-client.ts'
import { freshName, sharedSandbox } from '../../../sandbox/testing.ts'
import type { ApplyContext } from '../apply-context.ts'
import { applyContext, stateFolder } from '../testing.ts'
import { drillRecovery, lastDrill } from './recovery-drill.ts'
import { installResult } from './result.ts'

const masterKey = 'ab'.repeat(16)
const { mariadb } = await sharedSandbox(['mariadb'])
const name = freshName('drill')
const setup = openPool(mariadb, 1)
await setup.query(`CREATE DATABASE ${name}`)
const database = openPool({ ...mariadb, database: name })
await database.query(
  'CREATE TABLE kms_keys (id CHAR(32), purpose VARCHAR(16), state VARCHAR(16), created_at DATETIME(3))'
)
await database.query('INSERT INTO kms_keys VALUES (?, ?, ?, ?), (?, ?, ?, ?)', [
  ...['cd'.repeat(16), 'master', 'retired', utcNow()],
  ...[masterKey, 'master', 'active', utcNow()]
])
after(async () => {
  await database.end()
  await setup.query(`DROP DATABASE ${name}`)
  await setup.end()
})

/** A KMS whose memory ends with its restart; what it wraps it finds again, unless `forgets`. */
function world(forgets = false, restart?: () => Promise<never>) {
  const done: string[] = []
  const kept = new Map<string, Buffer>()
  const kms: Pick<KmsClient, 'newDataKey' | 'unwrapDataKey'> = {
    newDataKey: async () => {
      done.push('encrypted')
      const [plaintext, data] = [randomBytes(32), randomBytes(8).toString('hex')]
      kept.set(data, Buffer.from(plaintext))
      return { plaintext, wrapped: { mode: 'caller-iv', iv: '', data, masterKey } }
    },
    unwrapDataKey: async ({ data }) => {
      done.push('decrypted')
      const found = kept.get(data)
      if (found === undefined) throw new AppError('invalid-input', 'The data key does not open: another master key.')
      return Buffer.from(found)
    }
  }
  const stateDir = stateFolder()
  const base = applyContext({ database, stateDir, kms: kms as KmsClient })
  const context: ApplyContext = {
    ...base,
    database,
    deploy: {
      ...base.deploy,
      restart: async (service) => {
        done.push(`restarted ${service}`)
        if (restart !== undefined) return restart()
        if (forgets) kept.clear()
        return { name: service, state: 'ready', pid: 1, address: '', since: '', restarts: 1, detail: '' }
      }
    }
  }
  return { context, stateDir, done }
}

test('what was encrypted before the restart is decrypted after it, and the time is kept for this master key', async () => {
  const { context, stateDir, done } = world()
  assert.equal(await lastDrill(stateDir, masterKey), null)
  const before = new Date().toISOString()
  await drillRecovery(context)
  assert.deepEqual(done, ['encrypted', 'restarted kms', 'decrypted'])
  const drill = await lastDrill(stateDir, masterKey)
  assert.ok(drill !== null && drill.at >= before)
  assert.equal(statSync(join(stateDir, 'recovery-drill.json')).mode & 0o077, 0)
  const { hsm } = await installResult(stateDir, database, [])
  assert.match(String(hsm.decryptedAfterRestart), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/)
  assert.equal(hsm.masterKeyId, masterKey)
  // A new version of the master key has not been proved by it.
  assert.equal(await lastDrill(stateDir, 'ef'.repeat(16)), null)
})

test('a KMS that comes back without its key fails the step, with a cure, and leaves no proof', async () => {
  const { context, stateDir } = world(true)
  await assert.rejects(drillRecovery(context), (thrown) => {
    assert.ok(thrown instanceof AppError)
    assert.equal(thrown.code, 'deploy-failed')
    assert.match(thrown.message, /recovery drill failed.*another master key/)
    assert.match(thrown.cure ?? '', /keyscaler hsm check/)
    return true
  })
  assert.equal(await lastDrill(stateDir, masterKey), null)
  assert.equal((await installResult(stateDir, database, [])).hsm.decryptedAfterRestart, undefined)
})

test('a KMS that does not come back at all is told as what it is', async () => {
  const { context, stateDir } = world(false, () => Promise.reject(new AppError('pin-rejected', 'sealed')))
  await assert.rejects(drillRecovery(context), { code: 'pin-rejected' })
  assert.equal(await lastDrill(stateDir, masterKey), null)
})
