/**
 * The PIN rule through every door (pkcs11.md section 7, security.md A16 and F06): one action costs at most one rejected
 * login, the same wrong PIN is sent once, flags are read before any login, and a KMS whose PIN is rejected stays down.
 * The stand-in partition counts what arrives at it, whoever sent it.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { startPartitionUser } from '../sandbox/luna/partition-user.ts'
import { type LunaState, readLunaState, setLunaState } from '../sandbox/luna/state.ts'
import { createLunaToken } from '../sandbox/luna/token.ts'
import { newPassword } from '../sandbox/secrets.ts'
import type { StepId } from './steps/step.ts'
import { type Door, openDoor, trouble, type Verdict } from './testing/door.ts'
import type { Keyscaler } from './testing/keyscaler.ts'
import { type InstallWorld, openInstallWorld } from './testing/world.ts'

let world: InstallWorld
let wizard: Keyscaler
let door: Door
const folder = mkdtempSync(join(tmpdir(), 'ks-pin-'))

/** What the partition has counted since the last time. */
let counted: LunaState
async function since(): Promise<{ logins: number; rejections: number }> {
  const now = await readLunaState(world.luna.confPath)
  const { logins, rejections } = {
    logins: now.logins - counted.logins,
    rejections: now.rejections - counted.rejections
  }
  counted = now
  return { logins, rejections }
}

const kms = (over: Record<string, unknown> = {}) => ({ ...world.answers.kms, ...over })
const wrong = () => newPassword()
const findingOf = ({ findings }: Verdict, id: string) => findings.find((finding) => finding.id === id)

async function serve(): Promise<void> {
  wizard = world.serve()
  const line = await wizard.said(/^(Setup code:|Setup is finished)/)
  door = openDoor(world.url)
  if (line.startsWith('Setup code:')) await door.enterAsScript(line.slice('Setup code:'.length).trim())
}

before(async () => {
  world = await openInstallWorld()
  counted = await readLunaState(world.luna.confPath)
  await serve()
  for (const step of ['welcome', 'database'] as const) {
    assert.equal((await door.post(step, world.answers[step])).status, 303)
  }
})
after(async () => {
  await world?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Those that came as far as a proof: every Test, and a Next at a time. */
function proved(all: readonly Verdict[]): readonly Verdict[] {
  const asked = all.filter(({ status }) => status !== 409)
  assert.ok(asked.length > all.length / 2)
  return asked
}

test('looking at pages, and answers that do not fit together, cost no login', async () => {
  for (let times = 0; times < 5; times++) await door.document('/setup/steps/kms')
  const inVain = [
    await door.check('kms', kms({ slot: 4 })),
    await door.post('kms', kms({ partition: 'another' })),
    await door.post('kms', kms({ password: 'short' })),
    await door.check('kms', kms({ library: '/nonexistent.so' })),
    await door.post('kms', kms({ kmsHost: '' }))
  ]
  for (const { status } of inVain) assert.equal(status, 422)
  assert.match(trouble(inVain[0] ?? { findings: [] })?.say ?? '', /slot/i)
  assert.deepEqual(await since(), { logins: 0, rejections: 0 })
})

test('fifty times the same wrong PIN at once, by Test and by Next, is one rejected login', async () => {
  const password = wrong()
  const answers = kms({ password })
  const all = await Promise.all(
    Array.from({ length: 50 }, (_, at) => (at % 2 === 0 ? door.check('kms', answers) : door.post('kms', answers)))
  )
  for (const { text } of all) assert.ok(!text.includes(password), 'the password comes back')
  // A second Next is refused while one is under way.
  const said = proved(all).map((verdict) => findingOf(verdict, 'kms.login')?.say ?? '')
  assert.equal(said.filter((say) => say.startsWith('The password is not correct. Failure 1')).length, 1)
  assert.equal(said.filter((say) => say.startsWith('This password was rejected before')).length, said.length - 1)
  assert.deepEqual(await since(), { logins: 1, rejections: 1 })
})

test('fifty different wrong PINs at once end at the third failure; then the right one waits for a person, too', async () => {
  const all = await Promise.all(
    Array.from({ length: 50 }, (_, at) => {
      const answers = kms({ password: wrong() })
      return at % 2 === 0 ? door.check('kms', answers) : door.post('kms', answers)
    })
  )
  const refused = proved(all).filter((verdict) =>
    /3 logins have failed/.test(findingOf(verdict, 'kms.login')?.say ?? '')
  )
  assert.equal(refused.length, proved(all).length - 2)
  assert.deepEqual(await since(), { logins: 2, rejections: 2 })

  const held = await door.check('kms', kms())
  assert.match(findingOf(held, 'kms.login')?.cure ?? '', /Crypto Officer, then confirm/)
  assert.deepEqual(await since(), { logins: 0, rejections: 0 })
  const confirmed = await door.check('kms', kms({ sendAgain: 'yes' }))
  assert.equal(findingOf(confirmed, 'kms.login')?.verdict, 'pass')
  assert.deepEqual(await since(), { logins: 1, rejections: 0 })
})

test('a locked partition and its last try are left alone, with the right PIN as well', async () => {
  const { confPath } = world.luna
  for (const [failures, say] of [
    [10, /locked/],
    [9, /One more wrong password would lock/]
  ] as const) {
    await setLunaState(confPath, { failures })
    for (const verdict of [await door.check('kms', kms()), await door.post('kms', kms({ sendAgain: true }))]) {
      assert.equal(verdict.status, 422)
      assert.match(trouble(verdict)?.say ?? '', say)
      assert.ok(trouble(verdict)?.cure)
    }
    assert.deepEqual(await since(), { logins: 0, rejections: 0 })
  }
  await setLunaState(confPath, { failures: 0 })
})

test('the same wrong PIN by Test, by Next and by apply again and again is one rejected login in all', async () => {
  const password = wrong()
  await door.check('kms', kms({ password }))
  await door.post('kms', kms({ password }))
  await wizard.stop()
  const file = world.answersFile({ kms: kms({ password }) })
  for (let times = 0; times < 2; times++) {
    const { code, stderr } = await world.apply(file).ended
    assert.equal(code, 4, stderr)
    assert.match(stderr, /rejected before/)
  }
  const codes = (await Promise.all([1, 2, 3].map(() => world.apply(file).ended))).map(({ code }) => code)
  assert.ok(codes.includes(4) && codes.every((code) => code === 4 || code === 7), `exit codes ${codes}`)
  assert.deepEqual(await since(), { logins: 1, rejections: 1 })
  await serve()
})

test('the initial PIN is found out by an operation, and the cure is role changepw', async () => {
  const pin = newPassword()
  const { confPath } = await createLunaToken(folder, { pin, soPin: newPassword(), initialPin: true })
  const verdict = await door.post('kms', kms({ confPath, password: pin }))
  assert.equal(verdict.status, 422)
  const { say, cure } = findingOf(verdict, 'kms.role') ?? {}
  assert.match(`${say} ${cure}`, /initial.*CKR_PIN_EXPIRED.*role changepw -name Crypto Officer/)
  const { logins, rejections, soLogins } = await readLunaState(confPath)
  assert.deepEqual({ logins, rejections, soLogins }, { logins: 1, rejections: 0, soLogins: 0 })
})

test('Retry sends a password that was changed elsewhere meanwhile once, and never again', async () => {
  const pin = newPassword()
  const token = await createLunaToken(mkdtempSync(join(folder, 'retry-')), { pin, soPin: newPassword() })
  const authorization = { authorization: `Bearer ${door.secrets().bearer}`, accept: 'application/json' }
  const ask = async (path: string, prefer: string, body?: object) => {
    const sent = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
    const headers = { ...authorization, prefer, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    return JSON.parse((await door.ask(path, { ...sent, headers })).text)
  }
  const begun = await ask('/setup/steps/kms', 'respond-async', kms({ confPath: token.confPath, password: pin }))
  const { self, cancel } = begun.links
  // Kept, and on its way into the key store.
  while ((await ask(self, 'wait=0')).phases.length === 0) await pause(20)
  await ask(cancel, 'wait=0', {})
  const stopped = await ask(self, 'wait=60')
  assert.deepEqual([stopped.state, stopped.retryable], ['cancelled', true], JSON.stringify(stopped))

  const user = startPartitionUser(token)
  await user.ask({ do: 'start' })
  assert.deepEqual(await user.ask({ do: 'setPin', old: pin, pin: newPassword() }), { value: null })
  await user.kill()
  const { logins, rejections } = await readLunaState(token.confPath)
  let retry = stopped.links.retry
  for (let times = 0; times < 4; times++) {
    const retried = await ask(retry, 'wait=60', {})
    assert.deepEqual(
      [retried.state, retried.problem.type],
      ['failed', '/problems/pin-rejected'],
      JSON.stringify(retried)
    )
    retry = retried.links.retry
  }
  const after = await readLunaState(token.confPath)
  assert.deepEqual([after.logins - logins, after.rejections - rejections], [1, 1])
})

test('a wrong PIN that was entered before is told: as a warning before more harm is done, as news after the right one', async () => {
  const { confPath } = world.luna
  await setLunaState(confPath, { failures: 2 })
  const again = await door.post('kms', kms({ password: wrong() }))
  const { verdict, say } = findingOf(again, 'kms.pin-state') ?? {}
  assert.deepEqual([again.status, verdict], [422, 'warn'])
  assert.match(say ?? '', /has seen a wrong password/)
  assert.deepEqual(await since(), { logins: 1, rejections: 1 })

  const right = await door.check('kms', kms())
  assert.equal(findingOf(right, 'kms.pin-state')?.verdict, 'info')
  assert.equal((await readLunaState(confPath)).failures, 0)
  const accepted = await door.post('kms', kms())
  assert.equal(accepted.status, 303, accepted.text)
  assert.equal(findingOf(accepted, 'kms.pin-state')?.verdict, 'pass')
  assert.equal((await since()).rejections, 0)
})

test('a KMS whose PIN was changed behind its back is sealed: one rejected login, no restart, and everybody is told', async () => {
  const later: readonly StepId[] = ['memcached', 'account', 'license', 'kafka', 'dae', 'mqs', 'cp', 'complete']
  for (const step of later) assert.equal((await door.post(step, world.answers[step])).status, 303, step)
  await since()
  const kmsState = async () => {
    const { complete } = JSON.parse((await door.document('/')).text)
    return String(complete.services[0].state)
  }
  for (let times = 0; times < 5; times++) assert.equal(await kmsState(), 'ready')
  assert.deepEqual(await since(), { logins: 0, rejections: 0 })

  const user = startPartitionUser(world.luna)
  await user.ask({ do: 'start' })
  assert.deepEqual(await user.ask({ do: 'setPin', old: world.luna.pin, pin: newPassword() }), { value: null })
  await user.kill()
  await since()
  const record = join(world.stateDir, 'run', 'kms', 'pid.json')
  const { pid } = JSON.parse(readFileSync(record, 'utf8'))
  process.kill(pid, 'SIGKILL')
  while (!/^latched/.test(await kmsState())) await pause(50)
  assert.equal(await kmsState(), 'latched: sealed: PIN rejected')
  assert.deepEqual(await since(), { logins: 1, rejections: 1 })

  // Neither time nor a new wizard starts it again.
  await wizard.stop()
  await serve()
  while (!/^latched/.test(await kmsState())) await pause(50)
  assert.deepEqual(
    world.processes().filter((line) => /services\/kms\/|agent\.ts/.test(line)),
    []
  )
  const { soLogins, soFailures } = await readLunaState(world.luna.confPath)
  assert.deepEqual(
    { ...(await since()), soLogins, soFailures },
    { logins: 0, rejections: 0, soLogins: 0, soFailures: 0 }
  )
})
