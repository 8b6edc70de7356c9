/**
 * A new password of the partition, by every door: an expired one is changed on step 3; after `role changepw` behind its back
 * the KMS is sealed, and `keyscaler hsm set-pin` or the page with a fresh code brings it back. Logins are counted at the token.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { startPartitionUser } from '../sandbox/luna/partition-user.ts'
import { readLunaState, setLunaFaults, setLunaState } from '../sandbox/luna/state.ts'
import { newPassword } from '../sandbox/secrets.ts'
import type { Finding } from './checks/check.ts'
import type { StepId } from './steps/step.ts'
import { type Door, openDoor } from './testing/door.ts'
import type { Keyscaler } from './testing/keyscaler.ts'
import { type InstallWorld, openInstallWorld } from './testing/world.ts'

let world: InstallWorld
let wizard: Keyscaler
let door: Door
/** What the partition has. */
let pin: string
const folder = mkdtempSync(join(tmpdir(), 'ks-new-password-'))
const json = { accept: 'application/json', 'content-type': 'application/json', prefer: 'wait=60' }

/** Logins that arrived at the partition since the last question. */
async function since(): Promise<{ logins: number; rejections: number }> {
  const { logins, rejections } = await readLunaState(world.luna.confPath)
  const before = counted
  counted = { logins, rejections }
  return { logins: logins - before.logins, rejections: rejections - before.rejections }
}
let counted = { logins: 0, rejections: 0 }

async function post(path: string, body: object, bearer = door.secrets().bearer) {
  const headers = { ...json, authorization: `Bearer ${bearer}` }
  const { status, text } = await door.ask(path, { method: 'POST', headers, body: JSON.stringify(body) })
  const answer = JSON.parse(text) as { findings?: Finding[]; detail?: string; token?: string; kms?: { state: string } }
  return { status, ...answer }
}

async function serve(): Promise<void> {
  wizard = world.serve()
  const line = await wizard.said(/^(Setup code:|Setup is finished)/)
  door = openDoor(world.url)
  if (line.startsWith('Setup code:')) await door.enterAsScript(line.slice('Setup code:'.length).trim())
}

async function kmsState(): Promise<string> {
  return String(JSON.parse((await door.document('/')).text).complete.services[0].state)
}
async function untilKmsIs(state: RegExp): Promise<string> {
  for (;;) {
    const seen = await kmsState()
    if (state.test(seen)) return seen
    await pause(50)
  }
}
const kmsPid = (): number =>
  Number(JSON.parse(readFileSync(join(world.stateDir, 'run', 'kms', 'pid.json'), 'utf8')).pid)
const credential = (): string => readFileSync(join(world.stateDir, 'credentials', 'kms-password'), 'utf8')

/** As the Crypto Officer would in lunacm: the KMS does not know. */
async function roleChangePw(): Promise<void> {
  const [old, to] = [pin, newPassword()]
  const user = startPartitionUser(world.luna)
  await user.ask({ do: 'start' })
  assert.deepEqual(await user.ask({ do: 'setPin', old, pin: to }), { value: null })
  await user.kill()
  pin = to
  await since()
}

/** The KMS comes up again, with what it has. */
async function sealed(): Promise<void> {
  process.kill(kmsPid(), 'SIGKILL')
  assert.equal(await untilKmsIs(/^latched/), 'latched: sealed: PIN rejected')
  assert.deepEqual(await since(), { logins: 1, rejections: 1 })
}

function passwordFile(password: string): string {
  const path = join(folder, 'password')
  writeFileSync(path, `${password}\n`, { mode: 0o600 })
  return path
}

before(async () => {
  world = await openInstallWorld()
  pin = world.luna.pin
  await serve()
})
after(async () => {
  await world?.close()
  rmSync(folder, { recursive: true, force: true })
})

test('an expired password is changed on step 3 by one login, and setup goes on with the new one', async () => {
  for (const step of ['welcome', 'database'] as const) {
    assert.equal((await door.post(step, world.answers[step])).status, 303)
  }
  await setLunaState(world.luna.confPath, { initialPin: true })
  await since()
  const expired = await door.post('kms', world.answers.kms)
  assert.equal(expired.status, 422)
  assert.equal(expired.findings.find(({ ckr }) => ckr?.code === 0xa3)?.verdict, 'fail')
  assert.deepEqual(await since(), { logins: 1, rejections: 0 })

  const place = '/setup/steps/kms/change-password'
  const { kmsHost: _notAsked, ...keyStore } = world.answers.kms
  const to = newPassword()
  const different = await post(place, { ...keyStore, newPassword: to, newPasswordAgain: newPassword() })
  const short = await post(place, { ...keyStore, newPassword: 'short', newPasswordAgain: 'short' })
  const elsewhere = await post(place, { ...keyStore, slot: 4, newPassword: to, newPasswordAgain: to })
  for (const { status, detail } of [different, short]) assert.deepEqual([status, typeof detail], [422, 'string'])
  assert.equal(elsewhere.status, 409)
  const html = await door.ask(place, {
    method: 'POST',
    headers: {
      accept: 'text/html',
      'content-type': json['content-type'],
      authorization: `Bearer ${door.secrets().bearer}`
    },
    body: JSON.stringify({ ...keyStore, _newPassword: to, _newPasswordAgain: 'another' })
  })
  assert.equal(html.status, 422)
  assert.match(html.text, /<title>Error: .*There is a problem.*The passwords do not match\./s)
  assert.match(html.text, /Change it now/)
  assert.ok(![to, pin].some((secret) => html.text.includes(secret)))
  assert.deepEqual(await since(), { logins: 0, rejections: 0 })

  const changed = await post(place, { ...keyStore, newPassword: to, newPasswordAgain: to })
  assert.equal(changed.status, 200, changed.detail)
  assert.equal(changed.findings?.[0]?.verdict, 'pass')
  assert.deepEqual(await since(), { logins: 1, rejections: 0 })
  assert.equal(credential(), to)
  const old = await door.check('kms', world.answers.kms)
  assert.match(old.findings.find(({ id }) => id === 'kms.login')?.say ?? '', /rejected before/)
  assert.deepEqual(await since(), { logins: 0, rejections: 0 })
  pin = to

  const rest: readonly StepId[] = ['kms', 'memcached', 'account', 'license', 'kafka', 'dae', 'mqs', 'cp', 'complete']
  for (const step of rest) {
    const { status, text } = await door.post(step, {
      ...world.answers[step],
      ...(step === 'kms' ? { password: pin } : {})
    })
    assert.equal(status, 303, `${step}: ${text}`)
  }
  assert.equal((await since()).rejections, 0)
})

test('set-pin: a wrong password changes nothing and is sent once; the right one brings the sealed KMS back', async () => {
  await roleChangePw()
  await sealed()
  const before = credential()
  const wrong = passwordFile(newPassword())
  for (const rejections of [1, 0]) {
    const { code, stderr } = await world.run('hsm', 'set-pin', '--password-file', wrong).ended
    assert.equal(code, 4, stderr)
    assert.match(stderr, /Nothing was changed/)
    assert.deepEqual(await since(), { logins: rejections, rejections })
  }
  assert.equal(credential(), before)
  assert.match(await kmsState(), /^latched/)

  const { code, stdout, stderr } = await world.run(
    'hsm',
    'set-pin',
    '--output',
    'json',
    '--password-file',
    passwordFile(pin)
  ).ended
  assert.equal(code, 0, stderr)
  assert.equal(JSON.parse(stdout).kms.state, 'ready')
  assert.ok(!`${stdout}${stderr}`.includes(pin))
  assert.equal(await kmsState(), 'ready')
  assert.equal(credential(), pin)
  // One proves it, one is the KMS's own.
  assert.deepEqual(await since(), { logins: 2, rejections: 0 })
})

test('the page: a fresh code opens it and nothing of setup; the right password ends its session and lifts the latch', async () => {
  await roleChangePw()
  await sealed()
  const place = '/key-store-password'
  assert.match((await door.page('/')).text, /href="\/key-store-password"/)
  assert.equal((await post(place, { password: pin })).status, 401)
  assert.equal((await post(`${place}/session`, { code: '0000-0000' })).status, 401)
  const code = (await world.run('code').ended).stdout.trim()
  const { token = '' } = await post(`${place}/session`, { code })
  assert.equal((await post(`${place}/session`, { code })).status, 401)
  for (const path of ['/setup', '/setup/steps/kms', '/setup/progress']) {
    const { status } = await door.ask(path, { headers: { ...json, authorization: `Bearer ${token}` } })
    assert.equal(status, 410, path)
  }
  assert.deepEqual(await since(), { logins: 0, rejections: 0 })

  const wrong = await post(place, { password: newPassword() }, token)
  assert.deepEqual([wrong.status, await since()], [422, { logins: 1, rejections: 1 }])
  const right = await post(place, { password: pin }, token)
  assert.deepEqual([right.status, right.kms?.state], [200, 'ready'])
  assert.deepEqual(await since(), { logins: 2, rejections: 0 })
  assert.equal(await kmsState(), 'ready')
  assert.equal((await post(place, { password: pin }, token)).status, 401)
})

test('the same by browser: code, form, answer; a page of another site and a form without its token are refused', async () => {
  const form = { accept: 'text/html', 'content-type': 'application/x-www-form-urlencoded' }
  const code = (await world.run('code').ended).stdout.trim()
  const send = (path: string, fields: Record<string, string>, headers: Record<string, string>) =>
    door.ask(path, { method: 'POST', headers: { ...form, ...headers }, body: new URLSearchParams(fields).toString() })
  const ours = { origin: world.url }
  assert.equal((await send('/key-store-password/code', { code }, { origin: 'https://elsewhere.example' })).status, 403)
  const entered = await send('/key-store-password/code', { code }, ours)
  assert.deepEqual([entered.status, entered.headers.location], [303, '/key-store-password'])
  const set = entered.headers['set-cookie']?.[0] ?? ''
  assert.match(set, /HttpOnly.*SameSite=Strict/)
  const cookie = set.split(';')[0] ?? ''
  const { text } = await door.ask('/key-store-password', { headers: { accept: 'text/html', cookie } })
  assert.match(text, new RegExp(world.luna.serial))
  assert.match(text, /0 of at most 10 known here/)
  const csrf = /name="_csrf" value="([^"]+)"/.exec(text)?.[1] ?? ''
  await since()
  assert.equal((await send('/key-store-password', { password: pin }, { ...ours, cookie })).status, 403)
  assert.deepEqual(await since(), { logins: 0, rejections: 0 })
  const empty = await send('/key-store-password', { _csrf: csrf, password: '' }, { ...ours, cookie })
  assert.equal(empty.status, 422)
  const done = await send('/key-store-password', { _csrf: csrf, password: pin }, { ...ours, cookie })
  assert.equal(done.status, 200)
  assert.match(done.text, /The new password is kept, and the KMS runs with it/)
  assert.ok(!done.text.includes(pin))
  assert.deepEqual(await since(), { logins: 2, rejections: 0 })
})

test('a KMS that a killed wizard left running, and that is sealed before the next one looks, is not started in vain', async () => {
  await roleChangePw()
  await wizard.kill()
  const kms = kmsPid()
  // Its agent dies, and the KMS meets the new password alone.
  for (const line of world.processes())
    if (/keystore\/agent\.ts/.test(line)) process.kill(Number(line.split(' ')[0]), 'SIGKILL')
  while (world.processes().some((line) => line.startsWith(`${kms} `))) await pause(50)
  assert.deepEqual(await since(), { logins: 1, rejections: 1 })
  await serve()
  assert.equal(await untilKmsIs(/^latched/), 'latched: sealed: PIN rejected')
  assert.equal(kmsPid(), kms)
  assert.deepEqual(await since(), { logins: 0, rejections: 0 })
})

test('set-pin without a wizard starts the KMS alone, and the next wizard adopts it', async () => {
  await wizard.stop()
  const { code, stderr } = await world.run('hsm', 'set-pin', '--password-file', passwordFile(pin)).ended
  assert.equal(code, 0, stderr)
  const kms = kmsPid()
  assert.ok(world.processes().some((line) => line.startsWith(`${kms} `)))
  await serve()
  await untilKmsIs(/^ready/)
  assert.equal(kmsPid(), kms)
  assert.deepEqual(await since(), { logins: 2, rejections: 0 })
  const { soLogins } = await readLunaState(world.luna.confPath)
  assert.equal(soLogins, 0)
})

test('three logins that were never answered seal the KMS in words of their own, and a person sends the same password again', async () => {
  const { confPath } = world.luna
  await setLunaFaults(confPath, 'C_Login=crash')
  process.kill(kmsPid(), 'SIGKILL')
  assert.equal(await untilKmsIs(/^latched/), 'latched: sealed: earlier logins were never answered')
  await setLunaFaults(confPath, '')
  await since()
  const file = passwordFile(pin)
  const held = await world.run('hsm', 'set-pin', '--password-file', file).ended
  assert.deepEqual([held.code, await since()], [4, { logins: 0, rejections: 0 }])
  assert.match(held.stderr, /3 logins were sent and never answered/)
  assert.doesNotMatch(held.stderr, /was rejected/)
  const { code, stderr } = await world.run('hsm', 'set-pin', '--send-again', '--password-file', file).ended
  assert.equal(code, 0, stderr)
  assert.equal(await kmsState(), 'ready')
  assert.deepEqual(await since(), { logins: 2, rejections: 0 })
})

test('changed from an opened setup, the KMS that runs takes the new password at once', async () => {
  const opened = wizard.said(/^Setup is open again/)
  const code = (await world.run('unlock').ended).stdout.trim()
  await opened
  await door.enterAsScript(code)
  const before = kmsPid()
  const to = newPassword()
  // The present one is the kept one: it is meant for this partition, so it need not be typed.
  const order = { ...world.answers.kms, password: '', newPassword: to, newPasswordAgain: to }
  const elsewhere = await post('/setup/steps/kms/change-password', { ...order, library: '/nonexistent.so' })
  assert.deepEqual([elsewhere.status, await since()], [422, { logins: 0, rejections: 0 }])
  const changed = await post('/setup/steps/kms/change-password', order)
  assert.deepEqual([changed.status, changed.findings?.map(({ verdict }) => verdict)], [200, ['pass']])
  assert.notEqual(kmsPid(), before)
  assert.equal(credential(), to)
  assert.deepEqual(await since(), { logins: 2, rejections: 0 })
})
