import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { RowDataPacket } from 'mysql2/promise'
import { AppError } from '../../../lib/errors/app-error.ts'
import { openKeyStore } from '../../../lib/keystore/open-key-store.ts'
import { openPinGuard } from '../../../lib/keystore/pin-guard.ts'
import { readLunaState, setLunaState } from '../../../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../../../sandbox/luna/token.ts'
import { freePort } from '../../../sandbox/ports.ts'
import { pidsServing } from '../../deploy/process/pid-record.ts'
import { type ApplyWorld, dir, newApplyWorld, Stopped } from '../deploy-testing.ts'
import { kmsStep } from './step.ts'

const password = 'co-password'
let world: ApplyWorld
let token: LunaToken
let folder: string
/** Of the partition that the first world has. */
let home: string
let answers: Record<string, unknown>

async function lunaAnswers(name: string) {
  folder = join(dir, name)
  token = await createLunaToken(folder, { pin: password, soPin: 'so-password' })
  return {
    keyStore: 'gemalto-safenet',
    library: token.module,
    confPath: token.confPath,
    slot: token.slot,
    partition: token.label,
    password,
    kmsHost: `https://localhost:${await freePort()}`
  }
}

before(async () => {
  world = await newApplyWorld()
  answers = await lunaAnswers('token')
  home = folder
})

async function keyRows(of: ApplyWorld) {
  const [rows] = await of.database.query<RowDataPacket[]>('SELECT * FROM kms_keys ORDER BY purpose')
  return rows
}

async function deployed(of: ApplyWorld) {
  const [kms] = await of.target.status()
  assert.ok(kms !== undefined)
  return kms
}

test('kills at every effect, then one run to the end: one master key, one CA, one process', async () => {
  const effects = [
    'key master',
    'certificate-authority service-ca',
    'certificate kms',
    'certificate wizard',
    'service kms'
  ]
  for (const effect of effects) {
    await assert.rejects(world.apply(kmsStep, answers, effect), Stopped)
    await assert.rejects(world.apply(kmsStep, answers, `${effect} done`), Stopped)
  }
  await world.apply(kmsStep, answers)
  assert.deepEqual(world.unfinished(), [])
  const rows = await keyRows(world)
  assert.deepEqual(
    rows.map(({ purpose, state, algorithm }) => [purpose, state, algorithm]),
    [
      ['master', 'active', 'AES-256'],
      ['service-ca', 'active', 'EC-P256']
    ]
  )
  assert.equal((await deployed(world)).state, 'ready')
  assert.equal((await pidsServing(join(world.stateDir, 'run/kms/config.json'))).length, 1)

  const config = {
    profile: 'gemalto-safenet',
    module: token.module,
    confPath: token.confPath,
    slot: 3,
    partition: token.label
  } as const
  const store = await openKeyStore(config, password, { guard: openPinGuard(world.stateDir) })
  for (const row of rows) assert.equal((await store.findKey(String(row.id)))?.algorithm, row.algorithm)
  await store.close()
})

test('secrets and certificates are private files, and no secret is in the configuration', async () => {
  const config = await readFile(join(world.stateDir, 'run/kms/config.json'), 'utf8')
  assert.ok(!config.includes(password))
  for (const file of ['tls/kms.key', 'tls/wizard.key', 'key-store.json', 'credentials/kms-password']) {
    assert.equal((await stat(join(world.stateDir, file))).mode & 0o777, 0o600, file)
  }
  const record = JSON.parse(await readFile(join(world.stateDir, 'key-store.json'), 'utf8'))
  assert.deepEqual([record.label, record.serial, record.slot], [token.label, token.serial, 3])
  assert.match(record.moduleSha256, /^[0-9a-f]{64}$/)
})

test('the same answers again log nobody in and leave the KMS running', async () => {
  const before = await deployed(world)
  const { logins } = await readLunaState(folder)
  await world.apply(kmsStep, answers)
  assert.equal((await deployed(world)).pid, before.pid)
  assert.equal((await readLunaState(folder)).logins, logins)
})

test('another address gets another certificate and restarts the KMS; the keys stay', async () => {
  const before = await keyRows(world)
  await world.apply(kmsStep, { ...answers, kmsHost: `https://127.0.0.1:${await freePort()}` })
  assert.match((await deployed(world)).address, /^https:\/\/127\.0\.0\.1:/)
  assert.deepEqual(
    (await keyRows(world)).map((row) => row.id),
    before.map((row) => row.id)
  )
  await world.kms().createTenantKey('acme')
})

test('keys that protect something are not left behind for another key store', async () => {
  const other = await lunaAnswers('other-token')
  const failure = await world.apply(kmsStep, other).then(
    () => assert.fail('it should have failed'),
    (thrown: unknown) => thrown
  )
  assert.ok(failure instanceof AppError)
  assert.equal(failure.code, 'conflict')
  assert.match(failure.message, /cannot be moved from here/)
  assert.equal((await readLunaState(folder)).logins, 0)
})

test('a swapped token is found at step 3, before it is used, and when the KMS starts; it gets no password', async () => {
  await setLunaState(home, { swapped: true })
  const { logins } = await readLunaState(home)
  const identity = (await world.check(kmsStep, answers)).find(({ id }) => id === 'kms.identity')
  assert.equal(identity?.verdict, 'fail')
  assert.match(identity.say, /The token was swapped/)
  await assert.rejects(world.apply(kmsStep, answers), { code: 'conflict', message: /The token was swapped/ })
  const config = JSON.parse(await readFile(join(world.stateDir, 'run/kms/config.json'), 'utf8'))
  const opening = openKeyStore(config.keyStore, password, { guard: openPinGuard(world.stateDir) })
  await assert.rejects(opening, { code: 'conflict', message: /swapped, or taken away: slot 3 holds/ })
  assert.equal((await readLunaState(home)).logins, logins)
  await setLunaState(home, { swapped: false })
})

/** As an update does it: whoever reads sees the old file or the new one. */
async function replaceFile(path: string, bytes: Buffer): Promise<void> {
  await writeFile(`${path}.new`, bytes)
  await rename(`${path}.new`, path)
}

test('another library stops until Test and Next have confirmed it; the token, its keys and its name stay', async () => {
  const library = join(dir, 'libCryptoki2_64.so')
  const first = await readFile(token.module)
  await replaceFile(library, first)
  const moved = { ...answers, library }
  const identity = async () => (await world.check(kmsStep, moved)).find(({ id }) => id === 'kms.identity')
  assert.equal((await identity())?.verdict, 'pass')
  await world.apply(kmsStep, moved)

  await replaceFile(library, Buffer.concat([first, Buffer.from('an update')]))
  await assert.rejects(world.apply(kmsStep, moved), { code: 'conflict', message: /has changed since/ })
  const before = await readFile(join(world.stateDir, 'run/kms/config.json'), 'utf8')
  const { keyStore, moduleSha256 } = JSON.parse(before)
  await assert.rejects(openKeyStore({ ...keyStore, moduleSha256 }, password, { guard: openPinGuard(world.stateDir) }), {
    code: 'conflict',
    message: /not the one that was proved/
  })
  assert.equal((await identity())?.verdict, 'warn')
  await world.apply(kmsStep, moved)
  assert.equal((await identity())?.verdict, 'pass')
  const after = await readFile(join(world.stateDir, 'run/kms/config.json'), 'utf8')
  assert.notEqual(JSON.parse(after).moduleSha256, moduleSha256)
  assert.match(JSON.parse(after).masterKeyCheckValue, /^[0-9a-f]{6}$/)
  assert.equal((await deployed(world)).state, 'ready')
})

test('Next proves the token once: a login for the check, one to make the keys, one of the KMS', async () => {
  const fresh = await newApplyWorld()
  await fresh.submit(kmsStep, await lunaAnswers('proved-once'))
  assert.equal((await readLunaState(folder)).logins, 3)
  assert.equal((await keyRows(fresh)).length, 2)
})

test('a library that is replaced between the check and the keys is not loaded', async () => {
  const fresh = await newApplyWorld()
  const given = await lunaAnswers('replaced-between')
  const library = join(folder, 'libCryptoki2_64.so')
  const first = await readFile(token.module)
  await replaceFile(library, first)
  const swap = () => replaceFile(library, Buffer.concat([first, Buffer.from('somebody else')]))
  await assert.rejects(fresh.submit(kmsStep, { ...given, library }, swap), {
    code: 'conflict',
    message: /not the one that was proved/
  })
  assert.equal((await readLunaState(folder)).logins, 1)
  assert.deepEqual(await keyRows(fresh), [])
})

test('a wrong PIN at the opening is rejected once, and nothing is made', async () => {
  const fresh = await newApplyWorld()
  const wrong = { ...(await lunaAnswers('wrong-pin')), password: 'not-the-password' }
  for (let round = 0; round < 3; round++) {
    await kmsStep.getReady()
    // For a moment it is not yet what it will be: one program starts the next (module-child.ts).
    while (ownAgents().length === 0) await pause(20)
    const failure = await fresh.apply(kmsStep, wrong).then(
      () => assert.fail('it should have failed'),
      (thrown: unknown) => thrown
    )
    assert.ok(failure instanceof AppError)
    assert.equal(failure.code, 'pin-rejected')
    assert.ok(!failure.message.includes('not-the-password'))
    // It waited in vain; a process that is killed is gone a moment later.
    while (ownAgents().length > 0) await pause(20)
  }
  assert.equal((await readLunaState(folder)).rejections, 1)
  assert.deepEqual(await keyRows(fresh), [])
})

/** Processes of ours that hold, or would hold, a token. */
function ownAgents(): readonly string[] {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'latin1').trim().split(' ')
  return children.filter((pid) => {
    const file = `/proc/${pid}/cmdline`
    return pid !== '' && existsSync(file) && readFileSync(file, 'latin1').includes('lib/keystore/agent.ts')
  })
}

test('the software key store is made, used, and can be left for an HSM while it protects nothing', async () => {
  const fresh = await newApplyWorld()
  const secret = 'a long enough password'
  const nss = {
    keyStore: 'nss',
    nssFolder: join(dir, 'nss'),
    nssPassword: secret,
    nssPasswordAgain: secret,
    kmsHost: `https://localhost:${await freePort()}`
  }
  await fresh.apply(kmsStep, nss)
  assert.equal((await deployed(fresh)).state, 'ready')
  const [master] = await keyRows(fresh)
  await fresh.apply(kmsStep, await lunaAnswers('after-nss'))
  const [replaced, ...more] = await keyRows(fresh)
  assert.notEqual(replaced?.id, master?.id)
  assert.equal(more.length, 1)
  assert.equal((await deployed(fresh)).state, 'ready')
})
