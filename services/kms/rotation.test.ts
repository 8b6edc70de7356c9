import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import { openDataKey } from '../../lib/kms-client/data-key.ts'
import type { KeyRotation, KmsClient, StoredDataKey } from '../../lib/kms-client/kms-client.ts'
import { readLunaStrikes, setLunaFaults } from '../../sandbox/luna/state.ts'
import { newInstall, type RunningKms, type TestInstall } from './testing.ts'

let install: TestInstall
let kms: RunningKms
let wizard: KmsClient
let dae: KmsClient
const own = ['answers', 'events', 'backups', 'mail']
const tenants = ['Acme', 'Beta', 'Gamma']
/** What each data key was when it was made, by context. */
const known = new Map<string, { plaintext: Buffer; tenant: string | undefined }>()

async function started(changes: Readonly<Record<string, unknown>> = {}): Promise<void> {
  kms = await install.start(changes)
  await kms.listening()
  wizard = kms.client('wizard')
  dae = kms.client('dae')
}

async function killed(): Promise<void> {
  kms.child.kill('SIGKILL')
  await kms.ended
}

async function make(context: string, tenant?: string): Promise<void> {
  known.set(context, { plaintext: await openDataKey(install.database.pool, dae, context, tenant), tenant })
}

/** Settles when a call of the token has met the fault. */
async function struck(): Promise<void> {
  while ((await readLunaStrikes(install.token.folder)).every((count) => count === 0))
    await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Every data key there is opens, and is what it was. */
async function everyOneOpens(): Promise<void> {
  for (const [context, { plaintext, tenant }] of known) {
    assert.deepEqual(await openDataKey(install.database.pool, dae, context, tenant), plaintext, context)
  }
}

async function wrapped(): Promise<Map<string, StoredDataKey>> {
  const [rows] = await install.database.pool.query<RowDataPacket[]>('SELECT context, wrapped FROM data_keys')
  return new Map(
    rows.map((row) => [row.context, typeof row.wrapped === 'string' ? JSON.parse(row.wrapped) : row.wrapped])
  )
}

async function layerKeys(context: string): Promise<string[]> {
  const stored = (await wrapped()).get(context)
  assert.ok(stored)
  return 'v' in stored ? stored.layers.map(({ key }) => key) : [stored.masterKey]
}

async function finish(rotation: KeyRotation, most = 20): Promise<KeyRotation> {
  let last = rotation
  while (last.state !== 'done') last = await wizard.continueRotation(last.id, most)
  return last
}

async function activeKey(purpose: string, tenant: string | null = null) {
  const keys = (await wizard.listKeys()).filter((key) => key.purpose === purpose && key.tenant === tenant)
  const active = keys.filter(({ state }) => state === 'active')
  assert.equal(active.length, 1, 'exactly one version is active')
  assert.ok(active[0])
  return active[0]
}

before(async () => {
  install = await newInstall('gemalto-safenet')
  await started()
  for (const tenant of tenants) await wizard.createTenantKey(tenant)
  for (const context of own) await make(context)
  for (const tenant of tenants)
    for (const table of ['participants', 'secrets']) await make(`${table}/${tenant}`, tenant)
})
after(() => kms.child.kill('SIGTERM'))

describe('layers', { concurrency: 1 }, () => {
  test("a tenant's data key is wrapped by the tenant's key and then by the master key, the install's by the master key", async () => {
    const acme = await activeKey('tenant', 'Acme')
    assert.deepEqual(await layerKeys('participants/Acme'), [acme.id, install.masterKey])
    assert.deepEqual(await layerKeys('answers'), [install.masterKey])
  })

  test('it opens for its tenant only: not for another, not for none, and none of the install for a tenant', async () => {
    const rows = await wrapped()
    const acme = rows.get('participants/Acme')
    const answers = rows.get('answers')
    assert.ok(acme && answers)
    const refused = { code: 'invalid-input' }
    await assert.rejects(dae.unwrapDataKey(acme, 'participants/Acme', 'Beta'), refused)
    await assert.rejects(dae.unwrapDataKey(acme, 'participants/Acme'), refused)
    await assert.rejects(dae.unwrapDataKey(answers, 'answers', 'Acme'), refused)
    assert.ok('v' in acme)
    // Who moves the row and says so beside it is refused by the token.
    const moved = { ...acme, aad: { ...acme.aad, tenant: 'Beta' } }
    await assert.rejects(dae.unwrapDataKey(moved, 'participants/Acme', 'Beta'), refused)
    assert.ok('v' in answers)
    const given = { ...answers, aad: { ...answers.aad, tenant: 'Acme' } }
    await assert.rejects(dae.unwrapDataKey(given, 'answers', 'Acme'), refused)
    const renamed = { ...answers, aad: { ...answers.aad, row: 'events' } }
    await assert.rejects(dae.unwrapDataKey(renamed, 'events'), refused)
    const bare = { ...acme, layers: acme.layers.slice(1) }
    await assert.rejects(dae.unwrapDataKey(bare, 'participants/Acme', 'Acme'), refused)
  })

  test('a tenant without a key gets no data key, and no other key can stand in a layer', async () => {
    await assert.rejects(dae.newDataKey('participants/Nobody', 'Nobody'), { code: 'not-found' })
    const subject = 'CN=Acme Device CA'
    const ca = await wizard.createTenantCa({ tenant: 'Acme', subject, algorithm: 'EC-P256', days: 30 })
    const rows = await wrapped()
    const stored = rows.get('answers')
    assert.ok(stored && 'v' in stored && stored.layers[0])
    const acme = await activeKey('tenant', 'Acme')
    for (const key of [ca.keyId, install.serviceCa.keyId, acme.id]) {
      const named = { ...stored, layers: [{ ...stored.layers[0], key }] }
      await assert.rejects(dae.unwrapDataKey(named, 'answers'), { code: 'invalid-input' })
    }
  })

  test('a data key that an older install has wrapped still opens, and only as what it was', async () => {
    const store = await install.token.open()
    const plaintext = randomBytes(32)
    const ref = { id: install.masterKey, algorithm: 'AES-256', label: '' } as const
    const sealed = await store.encrypt(ref, plaintext, Buffer.from('data-key/old'))
    await store.close()
    const stored = { ...sealed, masterKey: install.masterKey }
    await install.database.pool.query(
      'INSERT INTO data_keys (id, context, wrapped, created_at) VALUES (UUID(), ?, ?, NOW())',
      ['old', JSON.stringify(stored)]
    )
    known.set('old', { plaintext, tenant: undefined })
    await everyOneOpens()
    await assert.rejects(dae.unwrapDataKey(stored, 'other'), { code: 'invalid-input' })
    await assert.rejects(dae.unwrapDataKey(stored, 'old', 'Acme'), { code: 'invalid-input' })
  })
})

describe('rotation', { concurrency: 1 }, () => {
  test('only the wizard rotates and destroys', async () => {
    await assert.rejects(dae.beginRotation('master'), { code: 'forbidden' })
    await assert.rejects(kms.client('cp').continueRotation('0'.repeat(36)), { code: 'forbidden' })
    await assert.rejects(dae.destroyKey(install.masterKey, 'master'), { code: 'forbidden' })
    await assert.rejects(wizard.beginRotation('tenant', 'Nobody'), { code: 'not-found' })
    await assert.rejects(wizard.beginRotation('tenant'), { code: 'invalid-input' })
    await assert.rejects(wizard.beginRotation('master', 'Acme'), { code: 'invalid-input' })
    await assert.rejects(wizard.destroyKey(install.masterKey, 'master'), { code: 'conflict' })
  })

  test('the master key, killed with SIGKILL at each batch: every data key opens each time, and it is finished in the end', async () => {
    const tenantKey = (await activeKey('tenant', 'Acme')).id
    let rotation = await wizard.beginRotation('master')
    assert.deepEqual([rotation.fromKey, rotation.total, rotation.rewrapped], [install.masterKey, known.size, 0])
    const next = await activeKey('master')
    assert.deepEqual([next.id, next.version, next.label], [rotation.toKey, 2, 'master v2'])
    await everyOneOpens()
    let kills = 0
    while (rotation.state !== 'done') {
      // Once in the middle of a batch, while the token works on it, and once after one: both leave a whole table.
      const at = kills % 2 === 0 ? 'C_Encrypt' : 'C_Decrypt'
      await setLunaFaults(install.token.folder, `${at}=lat:1500000*100`)
      const cut = wizard.continueRotation(rotation.id, 3).catch(() => null)
      // The last batch finds nothing to do, and asks the token nothing.
      const answered = await Promise.race([cut, struck()])
      await killed()
      assert.ok(answered === undefined || answered?.state === 'done')
      await setLunaFaults(install.token.folder, '')
      if (answered !== undefined) rotation = answered
      // As the configuration was before the rotation: it names the first version.
      await started({ masterKey: install.masterKey })
      await everyOneOpens()
      if (rotation.state === 'done') break
      const begun = await wizard.beginRotation('master')
      assert.equal(begun.id, rotation.id)
      rotation = await wizard.continueRotation(rotation.id, 3)
      kills += 1
      await killed()
      await started()
      await everyOneOpens()
    }
    assert.ok(kills >= 3, `${kills} kills`)
    assert.deepEqual([rotation.rewrapped, rotation.unreadable], [known.size, 0])
    for (const [context, { tenant }] of known) {
      assert.deepEqual(
        await layerKeys(context),
        tenant === undefined ? [next.id] : [...(await tenantLayer(tenant)), next.id]
      )
    }
    assert.deepEqual((await layerKeys('participants/Acme'))[0], tenantKey)
    await make('after')
    assert.deepEqual(await layerKeys('after'), [next.id])
  })

  const tenantLayer = async (tenant: string) => [(await activeKey('tenant', tenant)).id]

  test("a tenant's key: its data keys change, nobody else's do", async () => {
    const before = await wrapped()
    const old = await activeKey('tenant', 'Beta')
    const rotation = await finish(await wizard.beginRotation('tenant', 'Beta'), 1)
    assert.deepEqual([rotation.tenant, rotation.fromKey, rotation.total, rotation.rewrapped], ['Beta', old.id, 2, 2])
    await everyOneOpens()
    const now = await wrapped()
    for (const [context, stored] of before) {
      assert.equal(JSON.stringify(stored) === JSON.stringify(now.get(context)), !context.endsWith('/Beta'), context)
    }
    assert.equal((await layerKeys('secrets/Beta'))[0], rotation.toKey)
  })

  test('a retired key is destroyed by its name, and only when nothing needs it', async () => {
    const old = (await wizard.listKeys()).find(({ id }) => id === install.masterKey)
    assert.equal(old?.state, 'retired')
    for (const label of ['master v2', 'MASTER', 'master ']) {
      await assert.rejects(wizard.destroyKey(old.id, label), { code: 'invalid-input' })
    }
    // Somebody had asked for a data key before the rotation and stores it now.
    const late = randomBytes(32)
    const store = await install.token.open()
    const ref = { id: old.id, algorithm: 'AES-256', label: '' } as const
    const sealed = await store.encrypt(ref, late, Buffer.from('data-key/late'))
    await store.close()
    await install.database.pool.query(
      'INSERT INTO data_keys (id, context, wrapped, created_at) VALUES (UUID(), ?, ?, NOW())',
      ['late', JSON.stringify({ ...sealed, masterKey: old.id })]
    )
    known.set('late', { plaintext: late, tenant: undefined })
    await assert.rejects(wizard.destroyKey(old.id, old.label), { code: 'conflict', message: /1 data keys? .*still/ })
    await finish(await wizard.beginRotation('master'))
    await everyOneOpens()
    assert.equal((await wizard.destroyKey(old.id, old.label)).state, 'destroyed')
    assert.equal((await wizard.destroyKey(old.id, old.label)).state, 'destroyed')
    const token = await install.token.open()
    assert.equal(await token.findKey(old.id), null)
    await token.close()
    await everyOneOpens()
  })

  test('a configuration that names the first master key starts, although that one is destroyed by now', async () => {
    await killed()
    await started({ masterKey: install.masterKey })
    await everyOneOpens()
  })

  test('ten who begin at once begin one rotation', async () => {
    const begun = await Promise.all(Array.from({ length: 10 }, () => wizard.beginRotation('tenant', 'Gamma')))
    assert.equal(new Set(begun.map(({ id }) => id)).size, 1)
    const ends = await Promise.all(begun.map((rotation) => finish(rotation, 1)))
    assert.ok(ends.every(({ rewrapped }) => rewrapped === 2))
    await everyOneOpens()
  })

  test('a data key whose bytes were changed stops nobody, is told, and keeps its old key from being destroyed', async () => {
    const victim = (await wrapped()).get('mail')
    assert.ok(victim)
    const bytes = Buffer.from(victim.data, 'base64')
    bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0)
    const changed = JSON.stringify({ ...victim, data: bytes.toString('base64') })
    await install.database.pool.query(`UPDATE data_keys SET wrapped = ? WHERE context = 'mail'`, [changed])
    known.delete('mail')
    const old = await activeKey('master')
    const done = await finish(await wizard.beginRotation('master'), 2)
    assert.deepEqual([done.rewrapped, done.unreadable], [known.size, 1])
    await everyOneOpens()
    await assert.rejects(wizard.destroyKey(old.id, old.label), { code: 'conflict' })
  })

  test('every one of these calls is on record', async () => {
    const [rows] = await install.database.pool.query<RowDataPacket[]>(
      `SELECT actor, action, outcome, COUNT(*) AS n FROM kms_audit
       WHERE action IN ('key.rotate', 'data-key.rewrap', 'key.destroy') GROUP BY actor, action, outcome`
    )
    const seen = rows.map(({ actor, action, outcome }) => `${actor} ${action} ${outcome}`)
    for (const line of [
      'wizard key.rotate done',
      'wizard data-key.rewrap done',
      'wizard key.destroy done',
      'wizard key.destroy invalid-input',
      'wizard key.destroy conflict',
      'dae key.rotate forbidden',
      'dae key.destroy forbidden'
    ]) {
      assert.ok(seen.includes(line), line)
    }
  })
})
