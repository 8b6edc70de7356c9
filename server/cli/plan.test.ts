/** `keyscaler plan` and what `apply` makes of it, from outside, over real servers. */
import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { readLunaState } from '../../sandbox/luna/state.ts'
import type { Plan, PlanItem } from '../install/plan.ts'
import { repeats } from '../testing/tiers.ts'
import { whatStands, wholeInstall } from '../testing/witness.ts'
import { type InstallWorld, openInstallWorld } from '../testing/world.ts'

const actions = (items: readonly PlanItem[]) => [...new Set(items.map(({ action }) => action))].sort()
const itemOf = ({ items }: Plan, kind: string, name: string) =>
  items.find((item) => item.kind === kind && item.name === name)

describe('keyscaler plan', { concurrency: 1, timeout: 200_000 }, () => {
  let world: InstallWorld
  let answers: string
  before(async () => {
    world = await openInstallWorld()
    answers = world.answersFile()
  })
  after(() => world.close())

  async function planned(file: string, ...flags: readonly string[]): Promise<Plan> {
    const { code, stdout, stderr } = await world.plan(file, '--output', 'json', ...flags).ended
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as Plan
  }

  /** @returns the last line, which is the result */
  async function applied(file: string, ...flags: readonly string[]): Promise<{ changed: boolean; stderr: string }> {
    const { code, stdout, stderr } = await world.apply(file, '--exit', ...flags).ended
    assert.equal(code, 0, stderr)
    return { ...JSON.parse(stdout.trim().split('\n').at(-1) ?? ''), stderr }
  }

  let fresh: Plan
  test('on an empty host everything is to be made, nobody is asked, and nothing is left behind', async () => {
    fresh = await planned(answers)
    assert.deepEqual(actions(fresh.items), ['create'])
    assert.equal(fresh.install, null)
    assert.deepEqual(fresh.steps, Object.keys(world.answers))
    assert.deepEqual(await planned(answers), fresh)
    assert.equal(existsSync(join(world.stateDir, 'boot.json')), false)
    assert.equal((await readLunaState(world.luna.confPath)).logins, 0)
  })

  test('a secret is not in the plan, and no other secret makes the same file another plan of a new install', async () => {
    const text = JSON.stringify(fresh)
    for (const secret of [
      world.answers.kms.password,
      world.answers.database.dbPassword,
      world.answers.account.password
    ]) {
      assert.equal(text.includes(String(secret)), false)
    }
  })

  test('--exit-code ends with 10 when there is something to change, --dry-run of apply prints the same plan', async () => {
    const { code, stdout } = await world.plan(answers, '--exit-code').ended
    assert.equal(code, 10)
    assert.match(stdout, /\+ create service kms \(not done yet\)/)
    assert.match(stdout, new RegExp(`Hash: ${fresh.hash}\\n$`))
    assert.equal((await world.apply(answers, '--dry-run').ended).stdout, stdout)
    assert.equal(existsSync(join(world.stateDir, 'boot.json')), false)
  })

  test('apply --plan does what was agreed on, and the ledger holds what the plan named', async () => {
    const { changed } = await applied(answers, '--plan', fresh.hash)
    assert.equal(changed, true)
    assert.deepEqual(await whatStands(world), wholeInstall)
    const rows = await world.query('SELECT step, kind, name FROM {db}.ledger ORDER BY step, kind, name')
    const made = rows.map(({ step, kind, name }) => `${step} ${kind} ${String(name).replace(/@.*/, '')}`)
    const named = fresh.items
      .filter(({ kind }) => kind !== 'answers')
      .map(({ step, kind, name }) => `${step} ${kind} ${name.replace(/@.*/, '')}`)
    assert.deepEqual(made.sort(), named.sort())
  })

  test('then there is nothing to change, however often it is asked, and the token is not asked', async () => {
    const { logins } = await readLunaState(world.luna.confPath)
    for (let time = 1; time <= repeats; time++) {
      const plan = await planned(answers)
      assert.deepEqual([actions(plan.items), plan.changed, plan.steps], [['keep'], false, []])
    }
    assert.equal((await readLunaState(world.luna.confPath)).logins, logins)
  })

  test('applied again it changes nothing', async () => {
    const { logins } = await readLunaState(world.luna.confPath)
    const { changed, stderr } = await applied(answers)
    assert.equal(changed, false)
    assert.match(stderr, /Nothing to change\./)
    assert.equal((await readLunaState(world.luna.confPath)).logins, logins)
  })

  test('an agreed plan is refused with the difference when the world has moved', async () => {
    const wanted = world.answersFile({ account: { ...world.answers.account, fullName: 'Ada King' } })
    const path = join(world.dir, 'plan.json')
    const agreed = await planned(wanted)
    writeFileSync(path, JSON.stringify(agreed))
    assert.equal(itemOf(agreed, 'administrator', 'ada@acme.example')?.action, 'change')
    assert.equal(itemOf(agreed, 'tenant', 'acme')?.action, 'keep')
    assert.match(itemOf(agreed, 'administrator', 'ada@acme.example')?.why ?? '', /other answers: Full Name/)
    await world.query(`UPDATE {db}.ledger SET state = 'intent' WHERE kind = 'topic' LIMIT 1`)
    const { code, stderr } = await world.apply(wanted, '--exit', '--plan', path).ended
    assert.equal(code, 7, stderr)
    assert.match(stderr, /something has changed since/)
    assert.match(stderr, /\+ create topic .* \(begun and not finished\)/)
    await world.query(`UPDATE {db}.ledger SET state = 'done'`)
    const [row] = await world.query(`SELECT full_name FROM {db}.administrators`)
    assert.equal(row?.full_name, 'Ada Lovelace')
  })

  test('changed answers are applied on a finished install, and only those', async () => {
    const wanted = world.answersFile({ account: { ...world.answers.account, fullName: 'Ada King' } })
    const { logins } = await readLunaState(world.luna.confPath)
    assert.equal((await applied(wanted)).changed, true)
    const [row] = await world.query(`SELECT full_name FROM {db}.administrators`)
    assert.equal(row?.full_name, 'Ada King')
    // The recovery drill of the last step starts the KMS anew; nothing else logs in.
    assert.equal((await readLunaState(world.luna.confPath)).logins, logins + 1)
    assert.equal((await planned(wanted)).changed, false)
    assert.equal((await planned(answers)).changed, true)
  })

  test('what the ledger does not have of a step that stands is made, and no later step goes stale by it', async () => {
    // As it is exported: of the administrator's password only a hash is kept.
    const { tenant, email } = world.answers.account
    const wanted = world.answersFile({ account: { tenant, email, fullName: 'Ada King' } })
    const { steps: none } = await planned(wanted)
    const since = () =>
      world.query(`SELECT step, MAX(applied_at) FROM {db}.answers WHERE step <> 'complete' GROUP BY step`)
    const before = await since()
    const { logins } = await readLunaState(world.luna.confPath)
    const topic = `${world.database}.probe`
    await world.query(`DELETE FROM {db}.ledger WHERE name IN ('${topic}', 'master', 'participant/acme')`)
    await world.query('DELETE FROM {db}.participants')
    await world.query(`UPDATE {db}.ledger SET state = 'intent' WHERE kind = 'tenant'`)
    const plan = await planned(wanted)
    const made = plan.items.filter(({ action }) => action !== 'keep').map(({ kind, why }) => `${kind}: ${why}`)
    assert.deepEqual(made, ['key: missing', 'tenant: begun and not finished', 'credential: missing', 'topic: missing'])
    assert.deepEqual([none, plan.steps, plan.changed], [[], ['kms', 'account', 'kafka', 'complete'], true])
    assert.equal((await applied(wanted)).changed, true)
    assert.deepEqual(actions((await planned(wanted)).items), ['keep'])
    assert.deepEqual(await since(), before)
    // The checks of step 3, and the KMS that the recovery drill starts anew.
    assert.equal((await readLunaState(world.luna.confPath)).logins, logins + 2)
    assert.deepEqual(await whatStands(world), wholeInstall)
  })

  test('another password is a change, the same one is none', async () => {
    const password = 'another long pass phrase 9'
    const account = { ...world.answers.account, fullName: 'Ada King', password, passwordAgain: password }
    const wanted = world.answersFile({ account })
    const plan = await planned(wanted)
    assert.equal(itemOf(plan, 'administrator', 'ada@acme.example')?.why, 'another password or key')
    assert.equal((await applied(wanted, '--output', 'json')).changed, true)
    assert.equal((await planned(wanted)).changed, false)
  })

  test('what is not asked for any more is named, and left', async () => {
    const kafka = { ...world.answers.kafka, topicPrefix: `${world.database}-two` }
    const plan = await planned(world.answersFile({ kafka }))
    const topics = plan.items.filter(({ kind }) => kind === 'topic').map(({ action }) => action)
    assert.deepEqual(topics.sort(), ['create', 'create', 'leave', 'leave'])
    assert.equal(itemOf(plan, 'service', 'mqs')?.action, 'change')
  })

  test('the schema of an earlier version is brought up to this one, with the rights of the services, by the next start', async () => {
    const rights = () =>
      world.query(`SELECT User, Host, Table_priv FROM mysql.tables_priv
        WHERE Db = '${world.database}' AND Table_name = 'ca_key_updates' ORDER BY User`)
    const before = await rights()
    assert.ok(before.length > 0)
    for (const { User, Host, Table_priv } of before) {
      await world.query(`REVOKE ${Table_priv} ON {db}.ca_key_updates FROM '${User}'@'${Host}'`)
    }
    await world.query('DROP TABLE {db}.ca_key_updates')
    await world.query(`DELETE FROM {db}.schema_migrations WHERE name LIKE '%create-ca-key-updates%'`)
    const { code, stderr } = await world.apply(answers, '--exit', '--only', 'welcome').ended
    assert.equal(code, 0, stderr)
    assert.match(stderr, /The database was brought up to this version: 0024-create-ca-key-updates\.sql/)
    assert.deepEqual(await rights(), before)
    assert.deepEqual(await world.query('SELECT * FROM {db}.ca_key_updates'), [])
  })

  test('a step that is none, and a plan that is none, are refused', async () => {
    const only = await world.apply(answers, '--only', 'kmz').ended
    assert.deepEqual([only.code, /There is no step kmz/.test(only.stderr)], [3, true])
    const none = await world.apply(answers, '--exit', '--plan', 'abc').ended
    assert.deepEqual([none.code, /--plan takes the hash of a plan/.test(none.stderr)], [3, true], none.stderr)
  })
})
