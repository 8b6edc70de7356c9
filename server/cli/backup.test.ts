/** The drill: install, backup, nothing left but the keys, restore; what the KMS sealed before opens, and nothing has changed. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openKmsClient } from '../../lib/kms-client/open-kms-client.ts'
import { wizardIdentity } from '../deploy/identity-files.ts'
import { restoreTasks } from '../install/restore.ts'
import { leaksIn } from '../testing/canaries.ts'
import { wholeTier } from '../testing/tiers.ts'
import { type InstallWorld, openInstallWorld } from '../testing/world.ts'

const nssPassword = 'a password of the software store'
const passphrase = 'three words and a comma,'

describe('keyscaler backup and keyscaler restore', { concurrency: 1, timeout: 500_000 }, () => {
  // The other one with KEYSCALER_SLOW_TESTS=1: each is an install and a restore, and keepsakes.test.ts has the partition.
  for (const keyStore of wholeTier ? (['nss', 'gemalto-safenet'] as const) : (['nss'] as const))
    describe(keyStore, { concurrency: 1 }, () => drill(keyStore))
})

function drill(keyStore: 'gemalto-safenet' | 'nss'): void {
  let world: InstallWorld
  let answers: string
  let file: string
  let word: string
  let nssFolder: string
  let given: Awaited<ReturnType<typeof everything>>
  before(async () => {
    world = await openInstallWorld()
    const { kmsHost } = world.answers.kms
    nssFolder = join(world.dir, 'nss')
    const software = { keyStore, kmsHost, nssFolder, nssPassword, nssPasswordAgain: nssPassword }
    answers = world.answersFile(keyStore === 'nss' ? { kms: software } : {})
    file = join(world.dir, 'site.backup')
    word = join(world.dir, 'passphrase')
    writeFileSync(word, `${passphrase}\n`, { mode: 0o600 })
  })
  after(() => world.close())

  test('an install is written into one file while its services run; no secret and no row can be read in it', async () => {
    const applied = await world.apply(answers, '--exit').ended
    assert.equal(applied.code, 0, applied.stderr)
    await world.query(
      `INSERT INTO {db}.devices (id, tenant, name, registration_id, created_at) VALUES (UUID(), 'acme', 'Zoë\\\\''s "meter"', UUID(), NOW(3))`
    )
    await world.query(`UPDATE {db}.outbox SET id = id + 9007199254740993 ORDER BY id DESC LIMIT 1`)
    given = await everything()
    assert.ok(given.rows.some(({ rows }) => rows.length > 0))
    const { code, stdout, stderr } = await world.run(
      'backup',
      '--to',
      file,
      '--passphrase-file',
      word,
      '--output',
      'json'
    ).ended
    assert.equal(code, 0, stderr)
    const { bytes, rows, keysIncluded } = JSON.parse(stdout)
    assert.deepEqual([bytes, keysIncluded], [statSync(file).size, keyStore === 'nss'])
    assert.ok(rows > 20, `${rows} rows`)
    assert.equal(statSync(file).mode & 0o077, 0)
    assert.deepEqual(
      readdirSync(world.dir).filter((name) => name.endsWith('.tmp')),
      []
    )
    assert.deepEqual(leaksIn(new Map([['email', 'ada@acme.example']]), 'backup', readFileSync(file)), [])
    const again = await world.run('backup', '--to', file, '--passphrase-file', word).ended
    assert.deepEqual([again.code, /is there already/.test(again.stderr)], [7, true], again.stderr)
  })

  test('a backup goes into no folder that is backed up, also by a link, and into none that is not there', async () => {
    const link = join(world.dir, 'link')
    symlinkSync(join(world.stateDir, 'records'), link)
    const inside = [join(world.stateDir, 'my.backup'), join(link, 'my.backup')]
    if (keyStore === 'nss') inside.push(join(nssFolder, 'my.backup'))
    const refused = (to: string) => world.run('backup', '--to', to, '--passphrase-file', word).ended
    for (const { code, stderr } of await Promise.all(inside.map(refused))) {
      assert.deepEqual([code, /which is what is backed up/.test(stderr)], [3, true], stderr)
    }
    for (const { code, stderr } of await Promise.all([join(world.dir, 'no', 'a'), join(word, 'a')].map(refused))) {
      assert.deepEqual([code, /cannot be written: there is no folder/.test(stderr)], [3, true], stderr)
      assert.doesNotMatch(stderr, /\.tmp|ENOENT|ENOTDIR/)
    }
  })

  test('where an install is, with another passphrase, or from half a file, nothing is restored', async () => {
    const there = await restored(file)
    assert.deepEqual([there.code, /is not empty/.test(there.stderr)], [7, true], there.stderr)
    const short = join(world.dir, 'short')
    writeFileSync(short, 'too short\n', { mode: 0o600 })
    const weak = await world.run('backup', '--to', `${file}2`, '--passphrase-file', short).ended
    assert.deepEqual([weak.code, /at least 12 characters/.test(weak.stderr)], [3, true])
    const wrong = await world.run('restore', '--from', file, '--passphrase-file', short).ended
    assert.deepEqual([wrong.code, /passphrase is another one/.test(wrong.stderr)], [4, true], wrong.stderr)
    for (const [from, why] of [
      [`${file}3`, /There is no file/],
      [world.dir, /is a folder/]
    ] as const) {
      const missing = await restored(from)
      assert.deepEqual([missing.code, why.test(missing.stderr)], [3, true], missing.stderr)
    }
    const half = join(world.dir, 'half')
    writeFileSync(half, readFileSync(file).subarray(0, -100))
    const cut = await restored(half)
    assert.deepEqual([cut.code, /damaged/.test(cut.stderr)], [4, true], cut.stderr)
    assert.deepEqual(await everything(), given)
  })

  test('with nothing left but the keys it is put back, and what the KMS wrapped before opens', async (t) => {
    const kms = openKmsClient({ address: String(world.answers.kms.kmsHost), identity: wizardIdentity(world.stateDir) })
    const sealedBefore = await kms.newDataKey('drill/canary', 'acme')
    await kms.close()
    const gone = await world.destroy('--yes', '--delete-database', world.database).ended
    assert.equal(gone.code, 0, gone.stderr)
    if (keyStore === 'nss') rmSync(nssFolder, { recursive: true })
    assert.deepEqual([world.processes(), await world.query(`SHOW DATABASES LIKE '${world.database}'`)], [[], []])

    await world
      .run('restore', '--from', file, '--passphrase-file', word)
      .killedWhenItSays(/Creating the database users/)
    const between = await world.apply(answers, '--exit').ended
    assert.deepEqual([between.code, /begun and is not over/.test(between.stderr)], [7, true], between.stderr)
    const { code, stdout, stderr } = await restored(file)
    assert.equal(code, 0, stderr)
    const told = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    const { services, remarks, ms } = told.pop()
    assert.deepEqual(
      told.filter(({ type }) => type === 'task').map(({ task }) => task),
      restoreTasks.map(({ id }) => id)
    )
    assert.deepEqual([remarks, services.length, world.processes()], [[], 4, []])
    t.diagnostic(`back in ${ms} ms`)

    assert.deepEqual(await everything(), given)
    const applied = await world.apply(answers, '--exit').ended
    assert.deepEqual([applied.code, JSON.parse(applied.stdout).changed], [0, false], applied.stderr)
    const again = openKmsClient({
      address: String(world.answers.kms.kmsHost),
      identity: wizardIdentity(world.stateDir)
    })
    const openedNow = await again.unwrapDataKey(sealedBefore.wrapped, 'drill/canary', 'acme')
    await again.close()
    assert.ok(openedNow.equals(sealedBefore.plaintext))
    assert.ok(existsSync(join(world.stateDir, 'records')))
  })

  function restored(from: string) {
    return world.run('restore', '--from', from, '--passphrase-file', word, '--output', 'json').ended
  }

  /** Every row that is to come back, and what the services start with. */
  async function everything() {
    const passing = [
      'sessions',
      'login_attempts',
      'relay_lease',
      'idempotency_keys',
      'schema_lock',
      'schema_migrations',
      'kms_audit'
    ]
    const tables = await world.query(
      `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = '${world.database}' ORDER BY table_name`
    )
    const names = tables.map(({ name }) => String(name)).filter((name) => !passing.includes(name))
    // A user or topic that is made again is done again.
    const columns = (name: string) =>
      name === 'ledger' ? 'id, install_id, step, kind, name, state, detail, intended_at' : '*'
    return {
      rows: await Promise.all(
        names.map(async (name) => ({ name, rows: await world.query(`SELECT ${columns(name)} FROM {db}.${name}`) }))
      ),
      configurations: ['kms', 'dae', 'mqs', 'cp'].map((name) =>
        readFileSync(join(world.stateDir, 'run', name, 'config.json'), 'utf8')
      ),
      credentials: readdirSync(join(world.stateDir, 'credentials')).sort(),
      users: await world.query(`SELECT user, host FROM mysql.user WHERE user LIKE '${world.database}%' ORDER BY user`)
    }
  }
}
