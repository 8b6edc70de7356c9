/** `keyscaler plan` and what `apply` makes of it, from outside, over real servers. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { issueEvaluationLicense } from '../../lib/license/evaluation-issuer.ts'
import { readLunaState } from '../../sandbox/luna/state.ts'
import type { Plan, PlanItem } from '../install/plan.ts'
import { startKeyscaler } from '../testing/keyscaler.ts'
import { repeats } from '../testing/tiers.ts'
import { recordedPids, whatStands, wholeInstall } from '../testing/witness.ts'
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

  const adaKing = () => world.answersFile({ account: { ...world.answers.account, fullName: 'Ada King' } })
  const finishedAt = () => JSON.parse(readFileSync(join(world.stateDir, 'boot.json'), 'utf8')).finishedAt

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
    const dry = await world.apply(answers, '--dry-run', '--exit-code').ended
    assert.deepEqual([dry.code, dry.stdout], [10, stdout])
    assert.equal((await world.apply(answers, '--dry-run').ended).code, 0)
    assert.equal(existsSync(join(world.stateDir, 'boot.json')), false)
  })

  test('a plan that is another one, and answers that are not whole, are refused on an empty host before anything is made', async () => {
    const before = readdirSync(world.stateDir)
    const other = await world.apply(answers, '--plan', '0'.repeat(64)).ended
    assert.equal(other.code, 7, other.stderr)
    assert.match(other.stderr, /What would be done now:\n {2}\+ create answers/)
    const part = await world.apply(world.answersFile({ kafka: {} })).ended
    assert.equal(part.code, 3, part.stderr)
    assert.deepEqual(readdirSync(world.stateDir), before)
    const surroundings = { confPath: world.luna.confPath, home: world.dir, kafka: 'apache' } as const
    const nowhere = await startKeyscaler(['apply', answers, '--exit', '--state', '/proc/nope'], surroundings).ended
    assert.deepEqual(
      [nowhere.code, /^keyscaler: \/proc\/nope cannot be/.test(nowhere.stderr)],
      [3, true],
      nowhere.stderr
    )
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

  test('a plan that has moved, by its hash alone, tells only what would change, and what ran before goes on running', async () => {
    const pids = recordedPids(world)
    const { code, stderr } = await world.apply(adaKing(), '--plan', '0'.repeat(64)).ended
    assert.equal(code, 7, stderr)
    assert.match(stderr, /What would be done now:\n {2}~ change administrator ada@acme\.example/)
    assert.doesNotMatch(stderr, /keep/)
    assert.deepEqual(recordedPids(world), pids)
    assert.deepEqual(await whatStands(world), wholeInstall)
  })

  for (const [how, typed] of [
    ['no', 'n\n'],
    ['Ctrl-C', '\u0003'],
    ['Ctrl-D', '\u0004']
  ] as const) {
    test(`${how} at the question ends with 130, changes nothing and stops nothing that ran before`, async () => {
      const pids = recordedPids(world)
      const keyboard = join(world.dir, `keyboard-${how}`)
      execFileSync('mkfifo', [keyboard])
      const terminal = ['sh', '-c', `exec script -qec "$*" /dev/null < ${keyboard}`, 'script']
      const apply = world.applyUnder(terminal, adaKing())
      const keys = await open(keyboard, 'w')
      await apply.said(/^Hash: /)
      await keys.write(typed)
      const { code, stdout } = await apply.ended
      await keys.close()
      assert.equal(code, 130, stdout)
      assert.deepEqual(recordedPids(world), pids)
      assert.equal((await planned(adaKing())).changed, true)
    })
  }

  test('--only tells of its step alone what would be done, and of the others that they are open', async () => {
    const { fullName: _one, ...others } = world.answers.account
    const wanted = world.answersFile({
      account: { ...others, fullName: 'Ada King' },
      memcached: { ...world.answers.memcached, prefix: 'other:' }
    })
    const dry = await world.apply(wanted, '--dry-run', '--only', 'account').ended
    assert.match(dry.stdout, /~ change administrator/)
    assert.doesNotMatch(dry.stdout, /Memcached|Kafka/)
    assert.match(dry.stderr, /other steps? ha(s|ve) changes that --only account leaves: Memcached Configuration/)
    const none = await world.apply(wanted, '--exit', '--only', 'welcome').ended
    assert.equal(none.code, 0, none.stderr)
    assert.match(
      none.stderr,
      /stands as it is wanted\.\n.*other steps have changes that --only welcome leaves: Memcached/
    )
    assert.doesNotMatch(none.stderr, /Nothing to change/)
  })

  test('--only says what of setup it leaves open, and how to go on, each time', async () => {
    const ada = world.answersFile({ account: { ...world.answers.account, fullName: 'Ada Byron' } })
    const { stderr } = await applied(ada, '--only', 'account')
    assert.match(stderr, /Setup is open again; still to do: System License, DAE Deployment, CP Deployment/)
    assert.match(stderr, /keyscaler apply \/.*\.yaml does all of it/)
    const again = await applied(ada, '--only', 'account')
    assert.match(again.stderr, /stands as it is wanted\.\n.*\nSetup is not finished; still to do: System License/)
    await applied(answers)
    assert.notEqual(finishedAt(), null)
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
    const { code, stdout, stderr } = await world.apply(wanted, '--exit', '--plan', path, '--output', 'json').ended
    assert.equal(code, 7, stderr)
    assert.equal(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '').problem.code, 'conflict')
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
    assert.deepEqual([only.code, /There is no step kmz.*Did you mean kms\?/.test(only.stderr)], [2, true])
    const none = await world.apply(answers, '--exit', '--plan', 'abc').ended
    assert.deepEqual([none.code, /--plan takes the hash of a plan/.test(none.stderr)], [2, true], none.stderr)
  })

  test('--only on a finished install finishes and locks setup again when nothing else is left', async () => {
    const license = await issueEvaluationLicense(world.stateDir, { licensee: 'Another', devices: 20, days: 30 })
    const { changed, stderr } = await applied(world.answersFile({ license: { license } }), '--only', 'license')
    assert.equal(changed, true)
    assert.doesNotMatch(stderr, /still to do/)
    assert.notEqual(finishedAt(), null)
  })
})
