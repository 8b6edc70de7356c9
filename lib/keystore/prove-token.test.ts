import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { freshState, readLunaState, setLunaFaults, setLunaState } from '../../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../../sandbox/luna/token.ts'
import { openKeyStore } from './open-key-store.ts'
import { openPinGuard, type PinGuard } from './pin-guard.ts'
import { probeToken } from './probe.ts'
import type { ProbeStep } from './probe-messages.ts'
import { proveToken } from './prove-token.ts'

const folder = mkdtempSync(join(tmpdir(), 'prove-'))
after(() => rmSync(folder, { recursive: true }))
let guards = 0
const newGuard = (): PinGuard => openPinGuard(join(folder, `state-${++guards}`))

describe('proving a Luna partition', () => {
  const lunaFolder = join(folder, 'luna')
  const pin = 'crypto-officer-1'
  let token: LunaToken
  let guard: PinGuard
  const config = (change: { slot?: number; partition?: string; serial?: string } = {}) => {
    const { module, confPath, slot, label } = token
    return { profile: 'gemalto-safenet', module, confPath, slot, partition: label, ...change } as const
  }
  const logins = async (): Promise<number> => (await readLunaState(lunaFolder)).logins

  before(async () => {
    token = await createLunaToken(lunaFolder, { pin, soPin: 'partition-so-1' })
  })
  beforeEach(async () => {
    await setLunaState(lunaFolder, freshState)
    await setLunaFaults(lunaFolder, '')
    guard = newGuard()
  })

  it('finds its slots, label, serial and mechanisms without a login', async () => {
    const facts = await probeToken(config())
    assert.equal(facts.stopped, null)
    assert.deepEqual(
      facts.slots.map(({ slot, label, serial, model }) => ({ slot, label, serial, model })),
      [{ slot: 3, label: 'HSMoDnFIPS', serial: token.serial, model: 'Cryptovisor7' }]
    )
    assert.deepEqual(facts.slots[0]?.memory, { total: 159744, free: 159744 })
    assert.ok(facts.mechanisms.some(({ name }) => name === 'CKM_AES_GCM'))
    assert.equal(facts.login, null)
    assert.equal(await logins(), 0)
  })

  it('proves it with one login and round trips, naming each step as it begins', async () => {
    const steps: ProbeStep[] = []
    const facts = await proveToken(config(), pin, guard, { onStep: (step) => steps.push(step) })
    assert.equal(facts.stopped, null)
    assert.deepEqual(facts.login, { sent: true, ok: true, failure: null, refusal: null })
    assert.deepEqual(
      facts.roundTrips.map(({ name, ok }) => [name, ok]),
      ['aes-gcm', 'ec-p256', 'rsa-2048', 'aes-kw', 'aes-kwp', 'random', 'sensitive'].map((name) => [name, true])
    )
    assert.equal(facts.ivMode, 'caller-iv')
    assert.deepEqual(
      facts.keyWraps.map(({ number, knownAnswer }) => [number, knownAnswer]),
      [
        [0x2109, true],
        [0x210a, true]
      ]
    )
    assert.equal(facts.canCreateTokenObjects, true)
    assert.equal(steps.join(' '), ['file turn', ...facts.times.map(({ step }) => step)].join(' '))
    assert.equal(await logins(), 1)
  })

  it('spends one login on a wrong PIN that is sent ten times', async () => {
    for (let times = 0; times < 10; times++) {
      const { login, knownFailures } = await proveToken(config(), 'not-the-password', guard)
      assert.equal(login?.ok, false)
      assert.equal(
        times === 0 ? login.failure?.ckr : login.refusal?.reason,
        times === 0 ? 'CKR_PIN_INCORRECT' : 'same-pin-rejected-before'
      )
      assert.equal(knownFailures, 1)
    }
    const { rejections } = await readLunaState(lunaFolder)
    assert.equal(rejections, 1)
    assert.equal(await logins(), 1)
  })

  it('spends no login where slot, label, serial or the shape of the PIN is wrong', async () => {
    const cases = [
      [config({ slot: 4 }), pin, 'slot-differs'],
      [config({ partition: 'other' }), pin, 'token-not-found'],
      [config({ serial: '1' }), pin, 'token-not-found'],
      [config({ serial: token.serial, partition: 'other' }), pin, 'label-differs'],
      [config(), 'short', 'pin-shape'],
      [config(), 'with"a"quote', 'pin-shape']
    ] as const
    for (const [asked, typed, reason] of cases) {
      const { login } = await proveToken(asked, typed, guard)
      assert.deepEqual([login?.sent, login?.refusal?.reason], [false, reason])
    }
    assert.equal(await logins(), 0)
  })

  it('follows the serial into another slot', async () => {
    await setLunaState(lunaFolder, { slot: 7 })
    const facts = await proveToken(config({ serial: token.serial }), pin, guard)
    assert.equal(facts.login?.ok, true)
    assert.ok(facts.choice?.found)
    assert.deepEqual([facts.choice.token.slot, facts.choice.slotAgrees], [7, false])
  })

  it('stops before a locked partition and before its last try', async () => {
    for (const [failures, reason] of [
      [10, 'locked'],
      [9, 'final-try']
    ] as const) {
      await setLunaState(lunaFolder, { failures })
      const { login } = await proveToken(config(), pin, guard, { confirmed: true })
      assert.equal(login?.refusal?.reason, reason)
    }
    assert.equal(await logins(), 0)
  })

  it('finds an expired PIN at the first operation, and tries no other', async () => {
    await setLunaState(lunaFolder, { initialPin: true })
    const { login, roundTrips } = await proveToken(config(), pin, guard)
    assert.equal(login?.ok, true)
    assert.deepEqual(
      roundTrips.map(({ ok, failure }) => [ok, failure?.ckr]),
      [[false, 'CKR_PIN_EXPIRED']]
    )
  })

  it('reports a call that the token refuses, and tries the rest', async () => {
    await setLunaFaults(lunaFolder, 'C_SignInit=0x70')
    const { roundTrips } = await proveToken(config(), pin, guard)
    assert.deepEqual(
      roundTrips.filter(({ ok }) => !ok).map(({ name, failure }) => `${name} ${failure?.call} ${failure?.ckr}`),
      ['ec-p256 C_SignInit CKR_MECHANISM_INVALID', 'rsa-2048 C_SignInit CKR_MECHANISM_INVALID']
    )
  })

  it('asks the partition one at a time, and counts each wrong PIN once', async () => {
    const proofs = Array.from({ length: 6 }, () => proveToken(config(), 'not-the-password', guard))
    const sent = (await Promise.all(proofs)).filter(({ login }) => login?.sent === true)
    assert.equal(sent.length, 1)
    assert.equal(await logins(), 1)
  })

  it('counts a login that crashed as a failure', async () => {
    await setLunaFaults(lunaFolder, 'C_Login=crash')
    const { stopped, knownFailures, choice } = await proveToken(config(), pin, guard)
    assert.deepEqual(stopped, { step: 'login', why: 'crashed', signal: 'SIGSEGV' })
    assert.equal(choice?.found, true)
    assert.equal(knownFailures, 1)
  })

  it('shows the PIN neither in the command line nor in the environment of its child', async () => {
    await setLunaFaults(lunaFolder, 'C_Login=hang')
    const own = `/proc/${process.pid}/task/${process.pid}/children`
    let seen = ''
    const facts = await proveToken(config(), pin, guard, {
      deadlineMs: 1_500,
      onStep: (step) => {
        if (step !== 'login') return
        for (const child of readFileSync(own, 'utf8').trim().split(' ')) {
          for (const file of ['cmdline', 'environ']) seen += readFileSync(`/proc/${child}/${file}`, 'latin1')
        }
      }
    })
    assert.deepEqual([facts.stopped?.step, facts.stopped?.why], ['login', 'hung'])
    const waited = facts.times.filter(({ step }) => step === 'login').map(({ ms }) => ms)
    assert.deepEqual([waited.length, (waited[0] ?? 0) >= 1_000], [1, true], `${waited} ms were waited for`)
    assert.match(seen, /probe-child\.ts/)
    assert.match(seen, /ChrystokiConfigurationPath/)
    assert.doesNotMatch(seen, /HOME=|PATH=|crypto-officer/)
    assert.doesNotMatch(JSON.stringify(facts), /crypto-officer/)
  })
})

describe('proving an NSS key store', () => {
  const password = 'a long nss password'

  it('takes 0x210B for RFC 5649, since its 0x210A answers otherwise', async () => {
    const { keyWraps } = await proveToken({ profile: 'nss', folder: join(folder, 'wraps') }, password, newGuard())
    assert.deepEqual(
      keyWraps.map(({ name, number, knownAnswer }) => [name, number, knownAnswer]),
      [
        ['aes-kw', 0x2109, true],
        ['aes-kwp', 0x210b, true]
      ]
    )
  })

  it('tries a store that does not exist yet elsewhere, and makes nothing', async () => {
    const place = join(folder, 'not-yet', 'store')
    const facts = await proveToken({ profile: 'nss', folder: place }, password, newGuard())
    assert.equal(facts.stopped, null)
    assert.deepEqual([facts.folder?.fresh, facts.folder?.exists, facts.folder?.writable], [true, false, true])
    assert.deepEqual(
      [facts.login?.ok, facts.roundTrips.every(({ ok }) => ok), facts.roundTrips.length],
      [true, true, 7]
    )
    assert.equal(existsSync(join(folder, 'not-yet')), false)
  })

  it('proves a store that exists with its password, and changes nothing in it', async () => {
    const place = join(folder, 'store')
    const guard = newGuard()
    const config = { profile: 'nss', folder: place } as const
    const store = await openKeyStore(config, password, { guard, create: true })
    await store.close()
    assert.equal(statSync(place).mode & 0o777, 0o700)
    const content = () => readdirSync(place).map((name) => [name, readFileSync(join(place, name)).toString('base64')])
    const before = content()
    const facts = await proveToken(config, password, guard)
    assert.deepEqual([facts.stopped, facts.folder?.fresh, facts.login?.ok], [null, false, true])
    assert.ok(facts.roundTrips.every(({ ok }) => ok))
    const wrong = await proveToken(config, 'another nss password', guard)
    assert.deepEqual([wrong.login?.failure?.ckr, wrong.knownFailures], ['CKR_PIN_INCORRECT', 1])
    const again = await proveToken(config, 'another nss password', guard)
    assert.equal(again.login?.refusal?.reason, 'same-pin-rejected-before')
    assert.deepEqual(content(), before)
  })

  it('asks for 12 characters, and for a folder without quotes', async () => {
    const guard = newGuard()
    const facts = await proveToken({ profile: 'nss', folder: join(folder, 'x') }, 'eleven char', guard)
    assert.equal(facts.login?.refusal?.reason, 'pin-shape')
    await assert.rejects(proveToken({ profile: 'nss', folder: "/tmp/it's" }, password, guard), {
      code: 'invalid-input'
    })
  })

  it('tells of a folder that holds other files, and of a broken database', async () => {
    const place = join(folder, 'broken')
    mkdirSync(place)
    writeFileSync(join(place, 'notes.txt'), 'not ours')
    const foreign = await probeToken({ profile: 'nss', folder: place })
    assert.deepEqual([foreign.folder?.foreignFiles, foreign.folder?.openToOthers], [['notes.txt'], true])
    writeFileSync(join(place, 'key4.db'), 'this is no database at all')
    const { stopped } = await probeToken({ profile: 'nss', folder: place })
    assert.equal(stopped?.why, 'refused')
    assert.equal(stopped.step, 'initialize')
  })
})
