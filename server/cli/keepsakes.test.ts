/** What is taken along from an install, for both key stores: answers that are the same when they come back, and the signed record. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { InstallRecord } from '../install/record.ts'
import { steps } from '../install/steps.ts'
import { leaksIn } from '../testing/canaries.ts'
import { openScript } from '../testing/script.ts'
import { wholeTier } from '../testing/tiers.ts'
import { type AnswersByStep, type InstallWorld, openInstallWorld } from '../testing/world.ts'

const nssPassword = 'a password of the software store'

describe('keyscaler config export and keyscaler record', { concurrency: 1, timeout: 400_000 }, () => {
  // The other one with KEYSCALER_SLOW_TESTS=1: each is an install twice, and backup.test.ts has the software store.
  for (const keyStore of wholeTier ? (['gemalto-safenet', 'nss'] as const) : (['gemalto-safenet'] as const))
    describe(keyStore, { concurrency: 1 }, () => both(keyStore))
})

function both(keyStore: 'gemalto-safenet' | 'nss'): void {
  let world: InstallWorld
  let answers: AnswersByStep
  let given: readonly unknown[]
  const began = new Date().toISOString()
  let record: string
  before(async () => {
    world = await openInstallWorld()
    const { kms } = world.answers
    const software = { nssFolder: join(world.dir, 'nss'), nssPassword, nssPasswordAgain: nssPassword }
    answers =
      keyStore === 'nss' ? { ...world.answers, kms: { keyStore, kmsHost: kms.kmsHost, ...software } } : world.answers
  })
  after(() => world.close())

  test('what the wizard was told comes out without a secret, and applied again changes nothing', async () => {
    const wizard = world.serve()
    await wizard.said(/Setup code/)
    const script = await openScript({ ...world, answers })
    const unasked = await fetch(`${world.url}/setup/answers.yaml`)
    assert.equal(unasked.status, 401, 'only a session of setup gets it')
    for (const { id } of steps) assert.equal(await script.post(id), 'done')
    given = await kept()
    const file = await exported()
    const download = await fetch(`${world.url}/answers.yaml`)
    assert.match(String(download.headers.get('content-disposition')), /^attachment; filename="keyscaler-answers.yaml"$/)
    assert.equal(await download.text(), file.text)
    const page = await fetch(`${world.url}/record`, { headers: { accept: 'text/html' } })
    assert.match(await page.text(), /<h1>Install record<\/h1>/)
    record = await (await fetch(`${world.url}/record.json`)).text()
    assert.equal(file.text.includes('apiVersion: setup/v1'), true)
    assert.deepEqual(leaksIn(secrets(), 'the export', file.text), [])
    assert.deepEqual(await planned(file.path), { changed: false, steps: [] })
    assert.equal((await wizard.stop()).code, 0)
    // What is kept sealed stays without anybody being asked to open it: no service runs now.
    assert.deepEqual(await planned(file.path), { changed: false, steps: [] })
    // A secret that is typed is compared with the one that the KMS opens.
    const full = await world.plan(world.answersFile(answers)).ended
    assert.equal(full.code, 6, full.stderr)
    assert.match(
      full.stderr,
      /does not answer.*Only it opens the kept secrets.*Start the services: keyscaler serve\. Or run keyscaler apply/s
    )
    assert.match(
      (await world.validate(file.path).ended).stderr,
      /account:.*password.*You must provide|password: You must/s
    )
  })

  test('the record tells what was done, without a secret, and verifies without any service', async () => {
    const file = join(world.dir, 'install-record.json')
    writeFileSync(file, record)
    assert.equal((await world.run('record', 'show').ended).stdout, record)
    const payload = Buffer.from(JSON.parse(record).payload, 'base64url').toString()
    assert.deepEqual(leaksIn(secrets(), 'the record', payload), [])
    const told: InstallRecord = JSON.parse(payload)
    assert.deepEqual(
      told.steps.map(({ id }) => id),
      steps.map(({ id }) => id)
    )
    assert.equal(told.steps.find(({ id }) => id === 'account')?.answers.email, 'ada@acme.example')
    assert.ok(
      told.steps.find(({ id }) => id === 'kms')?.checks.every(({ verdict, ms }) => verdict !== 'fail' && ms >= 0)
    )
    for (const { id, checks, answeredAt, appliedAt } of told.steps) {
      const times = checks.map(({ at }) => String(at))
      for (const at of times)
        assert.ok(began <= at && at <= answeredAt, `${id}: ${at}, answered ${answeredAt}, ${appliedAt}`)
    }
    // Each its own, not the moment in which the answers were kept.
    const ladder = told.steps.find(({ id }) => id === 'kms')?.checks.map(({ at }) => at) ?? []
    assert.ok(new Set(ladder).size > 1, ladder.join())
    const keys = await world.query(`SELECT id FROM {db}.kms_keys WHERE purpose = 'signing' AND tenant = 'acme'`)
    assert.deepEqual(keys, [{ id: told.signingKey.id }])
    // As long as nothing has moved, the plan of the exported answers is the one that is on record.
    const { path } = await exported()
    const { stdout: plan } = await world.plan(path, '--output', 'json').ended
    assert.equal(JSON.parse(plan).hash, told.planHash)

    const verified = await world.run('record', 'verify', file, '--output', 'json').ended
    assert.equal(verified.code, 0, verified.stderr)
    const { ca, planHash } = JSON.parse(verified.stdout)
    assert.equal(planHash, told.planHash)
    const others = ['--ca-fingerprint', `${ca.startsWith('AA') ? 'BB' : 'AA'}${ca.slice(2)}`]
    const foreign = await world.run('record', 'verify', file, ...others).ended
    assert.deepEqual([foreign.code, /is of another install/.test(foreign.stderr)], [4, true], foreign.stderr)
    assert.equal((await world.run('record', 'verify', file, '--ca-fingerprint', ca).ended).code, 0)
    const unreadable = [
      ['--ca-fingerprint', 'garbage-not-hex'],
      ['--ca-fingerprint', ''],
      ['--ca-fingerprint', ca.slice(3)],
      ['--ca', '/etc/passwd']
    ]
    const refused = await Promise.all(unreadable.map((flags) => world.run('record', 'verify', file, ...flags).ended))
    for (const { code, stderr } of refused) {
      assert.deepEqual(
        [code, /takes a SHA-256|no certificate/.test(stderr), /PEM routines/.test(stderr)],
        [3, true, false]
      )
    }
    const named = await world.run('record', 'verify', file, '--ca-fingerprint', `sha256 ${ca.toLowerCase()}`).ended
    assert.equal(named.code, 0, named.stderr)
    const signed = JSON.parse(record)
    const changed = Buffer.from(payload.replace('ada@acme.example', 'eve@acme.example')).toString('base64url')
    writeFileSync(file, JSON.stringify({ ...signed, payload: changed }))
    const forged = await world.run('record', 'verify', file).ended
    assert.deepEqual([forged.code, /was changed, or is none of ours/.test(forged.stderr)], [4, true], forged.stderr)
  })

  test('on an empty machine, with each secret in a file, it gives the same answers', async () => {
    const folder = join(world.dir, 'secrets')
    const { path, text } = await exported('--secrets-in', folder)
    assert.deepEqual(leaksIn(secrets(), 'the export', text), [])
    const gone = await world.destroy('--yes').ended
    assert.equal(gone.code, 0, gone.stderr)
    const nothing = await world.run('config', 'export').ended
    assert.deepEqual([nothing.code, /There is no install in /.test(nothing.stderr)], [6, true])
    const without = await world.apply(path, '--exit').ended
    assert.deepEqual([without.code, /secrets\/database-dbPassword is missing/.test(without.stderr)], [3, true])

    const named = [...text.matchAll(/file: (\S+)/g)].map(([, name]) => String(name))
    mkdirSync(folder, { mode: 0o700 })
    for (const name of new Set(named)) {
      const [, step = '', field = ''] = /\/([a-z]+)-(\w+)$/.exec(name) ?? []
      writeFileSync(name, String(answers[step as keyof AnswersByStep][field]), { mode: 0o600 })
    }
    assert.equal((await world.validate(path).ended).code, 0)
    const applied = await world.apply(path, '--exit').ended
    assert.equal(applied.code, 0, applied.stderr)
    assert.deepEqual(await kept(), given)
    assert.deepEqual(await planned((await exported()).path), { changed: false, steps: [] })
  })

  async function exported(...flags: readonly string[]) {
    const { code, stdout, stderr } = await world.run('config', 'export', ...flags).ended
    assert.equal(code, 0, stderr)
    const path = join(world.dir, 'exported.yaml')
    writeFileSync(path, stdout)
    return { path, text: stdout }
  }

  async function planned(file: string) {
    const { code, stdout, stderr } = await world.plan(file, '--output', 'json').ended
    assert.equal(code, 0, stderr)
    const { changed, steps: submitted } = JSON.parse(stdout)
    return { changed, steps: submitted }
  }

  /** Without what only the install itself has made. */
  function kept() {
    return world.query(
      `SELECT step, answer_values FROM {db}.answers a WHERE revision = (SELECT MAX(revision) FROM {db}.answers b
       WHERE b.step = a.step) ORDER BY step`
    )
  }

  function secrets(): ReadonlyMap<string, string> {
    const { database, kms, account } = answers
    return new Map([
      ['database password', String(database.dbPassword)],
      ['key store password', String(kms.password ?? kms.nssPassword)],
      ["administrator's password", String(account.password)]
    ])
  }
}
