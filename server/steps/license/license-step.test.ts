import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { RowDataPacket } from 'mysql2/promise'
import { migrate } from '../../../lib/database/migrate.ts'
import { openPool } from '../../../lib/database/pool.ts'
import { issueEvaluationLicense } from '../../../lib/license/evaluation-issuer.ts'
import { freshName, sharedSandbox } from '../../../sandbox/testing.ts'
import { firstTrouble, surroundings, verdicts } from '../../checks/testing.ts'
import { applyContext, stateFolder } from '../testing.ts'
import { applyLicense } from './apply.ts'
import { licenseLadder } from './checks.ts'
import { licenseStep } from './step.ts'

const stateDir = stateFolder()
const order = { licensee: 'Example Ltd', devices: 25, days: 30 }
const around = { ...surroundings, stateDir, earlier: { account: { tenant: 'Example-Ltd' } } }
const troubleOf = async (license: string) => firstTrouble((await verdicts(licenseLadder, { license }, around)).findings)

test('a licence that was broken into lines on its way is put together again', async () => {
  const license = await issueEvaluationLicense(stateDir, order)
  const parsed = licenseStep.parse({ license: ` ${license.slice(0, 70)}\r\n${license.slice(70)}\n` })
  assert.ok(parsed.ok)
  assert.deepEqual(parsed.submission.values, { license })
})

test('none, too long, twice: each is said beside the field', () => {
  const fieldsOf = (license: unknown) => {
    const parsed = licenseStep.parse({ license })
    return parsed.ok ? undefined : parsed.fields.license
  }
  assert.equal(fieldsOf(undefined), 'You must provide a value for License.')
  assert.equal(fieldsOf('x'.repeat(65_537)), 'License must be at most 64 kB.')
  assert.equal(fieldsOf(['a', 'b']), 'License must be given once, as text.')
})

test('a good licence says whom it is for, until when, and for how many devices', async () => {
  const license = await issueEvaluationLicense(stateDir, { ...order, tenant: 'Example-Ltd' })
  const { findings } = await verdicts(licenseLadder, { license }, around)
  const until = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10)
  assert.deepEqual(
    findings.map(({ say }) => say),
    [
      'Signed for Example Ltd, for evaluation.',
      'For KeyScaler, account Example-Ltd.',
      `Valid until ${until}.`,
      'Up to 25 devices.'
    ]
  )
})

test('a wrong licence is refused in the words of its fault, with a cure', async () => {
  const long = { ...order, days: 1 }
  const expired = await issueEvaluationLicense(stateDir, long, new Date('2026-01-01T00:00:00Z'))
  assert.equal((await troubleOf(expired))?.say, 'The license expired on 2026-01-02.')
  const others = await issueEvaluationLicense(stateDir, { ...order, tenant: 'Somebody-Else' })
  assert.equal((await troubleOf(others))?.say, 'This license is for Somebody-Else.')
  const foreign = await issueEvaluationLicense(stateFolder(), order)
  const unknown = await troubleOf(foreign)
  assert.equal(unknown?.say, 'The license signature is not valid.')
  assert.match(unknown?.cure ?? '', /issue-evaluation/)
  const good = await issueEvaluationLicense(stateDir, order)
  assert.equal((await troubleOf(`${good.slice(0, -2)}AA`))?.say, 'The license signature is not valid.')
  assert.equal((await troubleOf('hello'))?.say, 'That is not a license.')
})

test('apply stores the licence in place of the one before, and refuses one that is no longer good', async (t) => {
  const { mariadb } = await sharedSandbox(['mariadb'])
  const schema = freshName('license')
  const admin = openPool(mariadb, 1)
  await admin.query(`CREATE DATABASE ${schema}`)
  const database = openPool({ ...mariadb, database: schema }, 3)
  t.after(async () => {
    await database.end()
    await admin.query(`DROP DATABASE ${schema}`)
    await admin.end()
  })
  await migrate(database, fileURLToPath(new URL('../../../migrations', import.meta.url)))
  const context = applyContext({ database, stateDir })
  const [first, second] = [
    await issueEvaluationLicense(stateDir, order),
    await issueEvaluationLicense(stateDir, { ...order, devices: 7 })
  ]
  for (const license of [first, first, second]) await applyLicense({ license }, context)
  const [rows] = await database.query<RowDataPacket[]>('SELECT token, device_limit FROM licenses')
  assert.deepEqual(
    rows.map(({ token, device_limit: limit }) => [token, limit]),
    [[second, 7]]
  )
  const expired = await issueEvaluationLicense(stateDir, { ...order, days: 1 }, new Date('2026-01-01T00:00:00Z'))
  await assert.rejects(applyLicense({ license: expired }, context), { code: 'check-failed' })
})
