import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { freshState, readLunaState, setLunaFaults, setLunaState } from '../../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../../sandbox/luna/token.ts'
import { AppError } from '../errors/app-error.ts'
import { type ChangePinOptions, changePin, changeUnanswered } from './change-pin.ts'
import type { KeyStoreConfig } from './keystore.ts'
import { openPinGuard, type PinGuard } from './pin-guard.ts'
import { proveToken } from './prove-token.ts'

const folder = mkdtempSync(join(tmpdir(), 'change-pin-'))
after(() => rmSync(folder, { recursive: true }))

describe('changing the password of a Luna partition', () => {
  const lunaFolder = join(folder, 'luna')
  let token: LunaToken
  let config: KeyStoreConfig
  let guard: PinGuard
  let guards = 0
  /** The password that the partition has; each test leaves it right. */
  let pin = 'crypto-officer-0'
  let numbers = 0
  const fresh = () => `crypto-officer-${++numbers}`

  const change = (to: string, more: Partial<ChangePinOptions> & { from?: string } = {}) =>
    changePin(config, { from: more.from ?? pin, to }, { guard, ...more })
  const refused = async (work: Promise<unknown>): Promise<AppError> => {
    const thrown = await work.then(
      () => null,
      (error: unknown) => error
    )
    assert.ok(thrown instanceof AppError, String(thrown))
    assert.doesNotMatch(JSON.stringify([thrown.message, thrown.cure, thrown.fields]), /crypto-officer/)
    return thrown
  }
  const counted = async () => {
    const { logins, rejections, soLogins } = await readLunaState(lunaFolder)
    return { logins, rejections, soLogins }
  }
  const opens = async (password: string) => (await proveToken(config, password, guard)).login

  before(async () => {
    token = await createLunaToken(lunaFolder, { pin, soPin: 'partition-so-1' })
    const { module, confPath, slot, label, serial } = token
    config = { profile: 'gemalto-safenet', module, confPath, slot, partition: label, serial }
  })
  beforeEach(async () => {
    await setLunaState(lunaFolder, freshState)
    await setLunaFaults(lunaFolder, '')
    guard = openPinGuard(join(folder, `state-${++guards}`))
  })

  it('takes one login; afterwards the new one opens it, and the old one is refused without asking', async () => {
    const [old, to] = [pin, fresh()]
    const steps: string[] = []
    await change(to, { onStep: (step) => steps.push(step) })
    pin = to
    assert.equal(steps.join(' '), 'load initialize slots session login change finalize')
    assert.deepEqual(await counted(), { logins: 1, rejections: 0, soLogins: 0 })
    assert.equal((await opens(old))?.refusal?.reason, 'same-pin-rejected-before')
    assert.equal((await opens(pin))?.ok, true)
    assert.deepEqual(await counted(), { logins: 2, rejections: 0, soLogins: 0 })
  })

  it('replaces the initial password, whose expiry is told by the first operation', async () => {
    await setLunaState(lunaFolder, { initialPin: true })
    const { login, roundTrips } = await proveToken(config, pin, guard)
    assert.deepEqual([login?.ok, roundTrips[0]?.failure?.ckr], [true, 'CKR_PIN_EXPIRED'])
    const to = fresh()
    await change(to)
    pin = to
    assert.equal(
      (await proveToken(config, pin, guard)).roundTrips.every(({ ok }) => ok),
      true
    )
    assert.equal((await counted()).rejections, 0)
  })

  it('replaces a password whose expiry is told by the login itself', async () => {
    await setLunaFaults(lunaFolder, 'C_Login=0xA3*1')
    const to = fresh()
    await change(to)
    pin = to
    assert.equal((await opens(pin))?.ok, true)
    assert.deepEqual(await counted(), { logins: 1, rejections: 0, soLogins: 0 })
  })

  it('costs one rejected login when the old password is wrong, and none when it is sent again', async () => {
    const kept: string[] = []
    for (let times = 0; times < 3; times++) {
      const error = await refused(
        change(fresh(), { from: 'not-the-password', beforeChange: async () => void kept.push('kept') })
      )
      assert.equal(error.code, 'pin-rejected')
    }
    assert.deepEqual(await counted(), { logins: 1, rejections: 1, soLogins: 0 })
    assert.deepEqual(kept, [])
    assert.equal((await opens(pin))?.ok, true)
  })

  it('refuses a new password of a wrong shape, or the same again, without a login', async () => {
    for (const to of ['short', 'with"a"quote', pin, 'x'.repeat(256), '']) {
      const error = await refused(change(to))
      assert.equal(error.code, 'invalid-input')
      assert.ok(error.fields?.newPassword)
    }
    const nss = { profile: 'nss', folder: join(folder, 'nss') } as const
    assert.equal((await refused(changePin(nss, { from: pin, to: fresh() }, { guard }))).code, 'invalid-input')
    assert.deepEqual(await counted(), { logins: 0, rejections: 0, soLogins: 0 })
  })

  it('leaves a locked partition and its last try alone; the label confirms the last try', async () => {
    await setLunaState(lunaFolder, { failures: 10 })
    assert.equal((await refused(change(fresh(), { confirmed: true }))).code, 'pin-rejected')
    await setLunaState(lunaFolder, { failures: 9 })
    assert.equal((await refused(change(fresh(), { confirmed: { label: 'another' } }))).code, 'pin-rejected')
    assert.deepEqual(await counted(), { logins: 0, rejections: 0, soLogins: 0 })
    const to = fresh()
    await change(to, { confirmed: { label: token.label } })
    pin = to
    assert.deepEqual(await counted(), { logins: 1, rejections: 0, soLogins: 0 })
  })

  it('says that the token does not take the new password, and holds the old one for right', async () => {
    await setLunaFaults(lunaFolder, 'C_SetPIN=0xA2*1')
    const error = await refused(change(fresh()))
    assert.equal(error.code, 'invalid-input')
    assert.match(error.fields?.newPassword ?? '', /CKR_PIN_LEN_RANGE/)
    assert.equal(guard.known(token.serial).failures, 0)
    assert.equal((await opens(pin))?.ok, true)
  })

  for (const [how, fault] of [
    ['hangs', 'C_SetPIN=hang'],
    ['crashes', 'C_SetPIN=crash']
  ] as const) {
    it(`holds neither password for wrong when the library ${how} in the change, and keeps the new one first`, async () => {
      await setLunaFaults(lunaFolder, fault)
      const to = fresh()
      const kept: string[] = []
      const error = await refused(
        change(to, { deadlineMs: 1_500, beforeChange: async () => void kept.push('new password') })
      )
      assert.equal(error.reason, changeUnanswered)
      assert.deepEqual(kept, ['new password'])
      assert.equal(guard.known(token.serial).failures, 0)
      await setLunaFaults(lunaFolder, '')
      assert.deepEqual([guard.verdictOn(token.serial, pin), guard.verdictOn(token.serial, to)], [null, null])
      assert.equal((await opens(pin))?.ok, true)
    })
  }

  it('does not send the change when the new password could not be kept', async () => {
    const error = await refused(change(fresh(), { beforeChange: () => Promise.reject(new Error('disk full')) }))
    assert.equal(error.code, 'internal')
    assert.equal((await opens(pin))?.ok, true)
  })
})
