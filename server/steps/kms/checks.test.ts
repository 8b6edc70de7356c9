import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { readLunaState, setLunaFaults, setLunaState } from '../../../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../../../sandbox/luna/token.ts'
import { freePort } from '../../../sandbox/ports.ts'
import type { Finding } from '../../checks/check.ts'
import { lastEvidence } from '../../checks/key-store/evidence.ts'
import { kmsStep } from './step.ts'

const pin = 'co-password'
let dir: string
let token: LunaToken
let port: number

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'kms-checks-'))
  port = await freePort()
})
after(() => rm(dir, { recursive: true, force: true }))

let made = 0
/** A partition and a state directory of the test's own: what one test did to a PIN is nothing to the next. */
async function fresh(): Promise<{ folder: string; state: string }> {
  made += 1
  const folder = join(dir, `token-${made}`)
  token = await createLunaToken(folder, { pin, soPin: 'so-password' })
  return { folder, state: join(dir, `state-${made}`) }
}

function answers(change: Record<string, unknown> = {}): Record<string, unknown> {
  const { module, confPath, slot, label } = token
  return {
    keyStore: 'gemalto-safenet',
    library: module,
    confPath,
    slot,
    partition: label,
    password: pin,
    kmsHost: `https://localhost:${port}`,
    ...change
  }
}

async function check(state: string, raw: Record<string, unknown>, waiting?: (what: string) => void) {
  const parsed = kmsStep.parse(raw)
  assert.ok(parsed.ok, JSON.stringify(parsed))
  const around = { stateDir: state, install: 'test', earlier: {}, progress: () => {}, services: {} }
  const findings = await parsed.submission.check(around, { waiting: (_id, what) => waiting?.(what) })
  assert.ok(!JSON.stringify(findings).includes(pin), 'no password in a finding')
  return new Map(findings.map((finding) => [finding.id, finding]))
}

function failure(findings: ReadonlyMap<string, Finding>): Finding {
  const failed = [...findings.values()].filter((finding) => finding.verdict === 'fail')
  assert.equal(failed.length, 1, JSON.stringify(failed))
  const [only] = failed
  assert.ok(only !== undefined && only.cure !== undefined, 'every fail names its cure')
  return only
}

test('the guide example passes every rung with one login', async () => {
  const { folder, state } = await fresh()
  const findings = await check(state, answers())
  const verdicts = [...findings.values()].map(({ id, verdict }) => `${id} ${verdict}`)
  assert.deepEqual(verdicts, [
    'kms.library pass',
    'kms.architecture pass',
    'kms.loads pass',
    'kms.runs-as pass',
    'kms.initialises pass',
    'kms.slot-present pass',
    'kms.token-present pass',
    'kms.token-initialised pass',
    'kms.partition-label pass',
    'kms.ha-group pass',
    'kms.identity info',
    'kms.pin-state pass',
    'kms.login pass',
    'kms.role pass',
    'kms.mechanisms pass',
    'kms.round-trips pass',
    'kms.same-master-key skip',
    'kms.free-space pass',
    'kms.ends pass',
    'kms.master-key skip',
    'kms.host-resolves pass',
    'kms.port-free pass',
    'kms.certificate info'
  ])
  assert.match(
    findings.get('kms.pin-state')?.say ?? '',
    /0 of at most 10 .*locks after at most 10 failures \(partition policy 20\)/
  )
  assert.equal((await readLunaState(folder)).logins, 1)
  const evidence = await lastEvidence(state)
  assert.deepEqual([evidence?.token?.serial, evidence?.loggedIn], [token.serial, true])
  assert.match(evidence?.module.sha256 ?? '', /^[0-9a-f]{64}$/)
})

test('a wrong password is sent once, however often it is submitted, and the count is told', async () => {
  const { folder, state } = await fresh()
  const wrong = answers({ password: 'not-the-password' })
  const first = failure(await check(state, wrong))
  assert.deepEqual([first.id, first.field], ['kms.login', 'password'])
  assert.match(first.say, /The password is not correct. Failure 1 known here; .* at most 10/)
  const second = failure(await check(state, wrong))
  assert.match(second.say, /rejected before, so it was not sent again/)
  assert.equal((await readLunaState(folder)).rejections, 1)
  assert.equal((await check(state, answers())).get('kms.round-trips')?.verdict, 'pass')
})

test('after three wrong passwords only a confirmation lets another through, and the confirmation is not kept', async () => {
  const { folder, state } = await fresh()
  for (const password of ['wrong-one', 'wrong-two', 'wrong-three']) await check(state, answers({ password }))
  const held = failure(await check(state, answers()))
  assert.match(held.say, /3 logins have failed/)
  assert.equal((await readLunaState(folder)).rejections, 3)
  const confirmed = answers({ sendAgain: 'on' })
  assert.equal((await check(state, confirmed)).get('kms.login')?.verdict, 'pass')
  const parsed = kmsStep.parse(confirmed)
  assert.ok(parsed.ok)
  assert.equal(parsed.submission.values.sendAgain, undefined)
  assert.deepEqual(await parsed.submission.keepSecrets(), { password: pin })
})

test('a slot that was not found names the one that holds the partition, and offers it; no login is spent', async () => {
  const { folder, state } = await fresh()
  const found = failure(await check(state, answers({ slot: 0 })))
  assert.equal(found.id, 'kms.slot-present')
  assert.equal(found.say, 'Slot 0 was not found; HSMoDnFIPS is in slot 3.')
  assert.deepEqual(found.offer?.values, { slot: '3' })
  assert.equal((await readLunaState(folder)).logins, 0)
})

test('a partition name that the slot does not hold is answered with the one it holds; no login is spent', async () => {
  const { folder, state } = await fresh()
  const found = failure(await check(state, answers({ partition: 'other' })))
  assert.deepEqual([found.id, found.field], ['kms.partition-label', 'partition'])
  assert.equal(found.say, 'Slot 3 holds "HSMoDnFIPS", not "other".')
  assert.deepEqual(found.offer?.values, { partition: 'HSMoDnFIPS' })
  assert.equal((await readLunaState(folder)).logins, 0)
})

test('slot and name both wrong: what there is is listed', async () => {
  const { state } = await fresh()
  const found = failure(await check(state, answers({ slot: 7, partition: 'other' })))
  assert.equal(found.say, 'Slot 7 was not found. Available: 3 – HSMoDnFIPS.')
})

test('a library that is missing, or is none, is named with the reason', async () => {
  const { state } = await fresh()
  assert.match(failure(await check(state, answers({ library: '/nowhere/lib.so' }))).say, /no such file/)
  const text = join(dir, 'lib.so')
  await writeFile(text, 'no library')
  const found = failure(await check(state, answers({ library: text })))
  assert.deepEqual([found.id, found.field], ['kms.architecture', 'library'])
})

test('a folder without Chrystoki.conf is a failure to start, beside the folder', async () => {
  const { state } = await fresh()
  const found = failure(await check(state, answers({ confPath: dir })))
  assert.deepEqual([found.id, found.field], ['kms.initialises', 'confPath'])
})

test('a locked Crypto Officer, and a last try, are told without a login', async () => {
  const { folder, state } = await fresh()
  await setLunaState(folder, { failures: 9 })
  assert.match(failure(await check(state, answers())).say, /One more wrong password would lock/)
  await setLunaState(folder, { failures: 10 })
  const locked = failure(await check(state, answers()))
  assert.equal(locked.say, 'The Crypto Officer is locked.')
  assert.match(locked.cure ?? '', /policy 15 was on before \(default off\)/)
  assert.equal((await readLunaState(folder)).logins, 0)
})

test('the initial password is found out by the first operation, and role changepw is named', async () => {
  const { folder, state } = await fresh()
  await setLunaState(folder, { initialPin: true })
  const found = failure(await check(state, answers()))
  assert.deepEqual([found.id, found.field], ['kms.role', 'password'])
  assert.match(found.cure ?? '', /role changepw -name Crypto Officer/)
})

test('a library that crashes while logging in is named with the step', async () => {
  const { folder, state } = await fresh()
  await setLunaFaults(folder, 'C_Login=crash')
  const found = failure(await check(state, answers()))
  assert.equal(found.id, 'kms.login')
  assert.match(found.say, /The PKCS#11 library crashed while logging in/)
})

test('the call that is waited for is named while it is waited for', async () => {
  const { folder, state } = await fresh()
  await setLunaFaults(folder, 'C_GetSlotList=lat:1500000*1')
  const named: string[] = []
  const findings = await check(state, answers(), (what) => named.push(what))
  assert.ok(named.includes('C_GetSlotList (listing slots)'), named.join())
  assert.equal(findings.get('kms.login')?.verdict, 'pass')
})

const nssPassword = 'a long enough password'
const nssAnswers = (folder: string) => ({
  keyStore: 'nss',
  nssFolder: folder,
  nssPassword,
  nssPasswordAgain: nssPassword,
  kmsHost: `https://localhost:${port}`
})

test('a fresh NSS folder passes, is left untouched, and is said to be not HSM-protected', async () => {
  const folder = join(dir, 'nss-fresh')
  const findings = await check(join(dir, 'state-nss'), nssAnswers(folder))
  assert.equal(findings.get('kms.round-trips')?.verdict, 'pass')
  const protection = findings.get('kms.protection')
  assert.equal(protection?.verdict, 'info')
  assert.match(protection?.say ?? '', /not HSM-protected/)
  assert.equal(findings.get('kms.slot-present'), undefined)
})

test('an NSS folder with other files is refused before anything is made', async () => {
  const found = failure(await check(join(dir, 'state-nss'), nssAnswers(dir)))
  assert.deepEqual([found.id, found.field], ['kms.folder', 'nssFolder'])
})
