/** Every return code that the table knows, as the ladder tells it: with its name, its cure and its place in the guide. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ckrTable } from '../../../lib/keystore/ckr.ts'
import { guidePlaces } from '../../../lib/keystore/guide-places.ts'
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import { setLunaFaults } from '../../../sandbox/luna/state.ts'
import { createLunaToken } from '../../../sandbox/luna/token.ts'
import { judgeLadder } from '../ladder-judge.ts'
import { type Diagnosis, diagnoseKeyStore } from './diagnose.ts'
import { rungsFor } from './rungs.ts'

const folder = mkdtempSync(join(tmpdir(), 'codes-'))
const lunaFolder = join(folder, 'luna')
let config: KeyStoreConfig
let known: Diagnosis
before(async () => {
  const token = await createLunaToken(lunaFolder, { pin: 'crypto-officer-1', soPin: 'partition-so-1' })
  const { module, confPath, slot, label } = token
  config = { profile: 'gemalto-safenet', module, confPath, slot, partition: label }
  known = await diagnoseKeyStore({ config, pin: null, stateDir: join(folder, 'state') })
})
after(() => rmSync(folder, { recursive: true }))

const refusals = ckrTable.filter(({ code }) => code !== 0)
/** A rejected password is told with the count of failures, whatever the code. */
const wrongPassword = [0xa0, 0xa1, 0xa2, 0x80000067]

describe('a login that is refused', () => {
  for (const { code, name, say, cure, guide } of refusals) {
    it(`with ${name} says what it means and what to do`, () => {
      const failure = { call: 'C_Login', ckr: name, code, message: say }
      const facts = { ...known.facts, login: { sent: true, ok: false, failure, refusal: null }, knownFailures: 2 }
      const findings = judgeLadder(
        rungsFor(config),
        { config, facts, step: null, pinGiven: true, record: null, runAs: null },
        0,
        {}
      )
      const login = findings.find(({ verdict }) => verdict === 'fail')
      assert.equal(login?.id, 'kms.login')
      assert.deepEqual(login.ckr, { code, name })
      assert.equal(login.guide, guide ?? guidePlaces.changePassword)
      const rejected = wrongPassword.includes(code)
      assert.equal(login.say, rejected ? login.say : `${say} (${name} from C_Login)`)
      if (rejected) assert.match(login.say, /^The password is not correct\. Failure 2 known here/)
      else assert.equal(login.cure, cure)
    })
  }
})

describe('an operation that is refused', () => {
  for (const { code, name, say, cure } of refusals) {
    it(`with ${name} says what it means and what to do`, () => {
      const failure = { call: 'C_SignInit', ckr: name, code, message: say }
      const facts = {
        ...known.facts,
        login: { sent: true, ok: true, failure: null, refusal: null },
        canCreateTokenObjects: true,
        roundTrips: [{ name: 'ec-p256', ok: false, failure } as const]
      }
      const findings = judgeLadder(
        rungsFor(config),
        { config, facts, step: null, pinGiven: true, record: null, runAs: null },
        0,
        {}
      )
      const failed = findings.find(({ verdict }) => verdict === 'fail')
      const roles: Readonly<Record<number, string>> = { 163: 'kms.role', 2147483674: 'kms.role' }
      assert.equal(failed?.id, roles[code] ?? 'kms.round-trips')
      assert.deepEqual([failed?.ckr, failed?.cure], [{ code, name }, cure])
    })
  }
})

describe('the codes about passwords and those of the vendor, over the stand-in', () => {
  const told = refusals.filter(({ code, class: kind }) => kind === 'pin' || (code >= 0x80000000 && code < 0x90000000))
  for (const { code, name } of told) {
    it(`${name} comes through library, child and ladder as it is`, async () => {
      await setLunaFaults(lunaFolder, `C_Login=0x${code.toString(16)}`)
      const stateDir = join(folder, `state-${code}`)
      const { findings, facts } = await diagnoseKeyStore({ config, pin: 'crypto-officer-1', stateDir })
      const login = findings.find(({ id }) => id === 'kms.login')
      assert.deepEqual([login?.verdict, login?.ckr], ['fail', { code, name }])
      assert.equal(facts.login?.failure?.code, code)
    })
  }
})

describe('a partition with PED authentication', () => {
  const judged = (code: number | null) => {
    const choice = known.facts.choice
    assert.ok(choice?.found === true)
    const flags = { ...choice.token.flags, protectedAuthenticationPath: true }
    const token = { ...choice.token, flags }
    const failure = code === null ? null : { call: 'C_Login', ckr: null, code, message: '' }
    const login = { sent: true, ok: code === null, failure, refusal: null }
    const facts = { ...known.facts, choice: { ...choice, token }, slots: [token], login }
    const seen = { config, facts, step: null, pinGiven: true, record: null, runAs: null }
    return new Map(judgeLadder(rungsFor(config), seen, 0, {}).map((finding) => [finding.id, finding]))
  }

  it('is told of the policies 22 and 23, and again when the login fails', () => {
    const state = judged(null).get('kms.pin-state')
    assert.equal(state?.verdict, 'info')
    for (const cure of [state.cure, judged(0x30).get('kms.login')?.cure]) {
      assert.match(cure ?? '', /-policy 22 -value 1.*-policy 23 -value 1/)
    }
    assert.equal(state.guide, 'Guide: HSM prerequisite 8')
  })
})

describe('a place in the guide', () => {
  it('is one of its items 1 to 15, prerequisites 1 to 8, tables 1 to 4, or a step', () => {
    const most: Readonly<Record<string, number>> = { 'DPoD, item': 15, 'HSM prerequisite': 8, table: 4 }
    for (const place of Object.values(guidePlaces)) {
      if (place === 'Guide: KMS Deployment') continue
      const [, kind = '', first, last] =
        /^Guide: (DPoD, item|HSM prerequisite|table)s? (\d+)(?: (?:to|and) (\d+))?$/.exec(place) ?? []
      assert.ok(Number(first) >= 1 && Number(last ?? first) <= (most[kind] ?? 0), place)
    }
  })
})
