import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { freshState, readLunaState, setLunaFaults, setLunaState } from '../../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../../sandbox/luna/token.ts'
import type { AppError } from '../errors/app-error.ts'
import { agentAhead, startAgent } from './agent-ahead.ts'
import type { EncryptsData, KeyStore } from './keystore.ts'
import { type OpenOptions, openKeyStore } from './open-key-store.ts'
import { openPinGuard, type PinGuard } from './pin-guard.ts'

const folder = mkdtempSync(join(tmpdir(), 'open-'))
const lunaFolder = join(folder, 'luna')
const pin = 'crypto-officer-1'
const data = Buffer.from('to be signed')
const newId = () => randomBytes(16).toString('hex')
const keySpec = () => ({ id: newId(), algorithm: 'EC-P256', label: 'test' }) as const

let token: LunaToken
let guard: PinGuard
let states = 0
let opened: (KeyStore & EncryptsData)[] = []

before(async () => {
  token = await createLunaToken(lunaFolder, { pin, soPin: 'partition-so-1' })
})
beforeEach(async () => {
  await setLunaState(lunaFolder, freshState)
  await setLunaFaults(lunaFolder, '')
  guard = openPinGuard(join(folder, `state-${++states}`))
})
afterEach(async () => {
  await setLunaFaults(lunaFolder, '')
  await Promise.all(opened.map((store) => store.close()))
  opened = []
})
after(() => rmSync(folder, { recursive: true }))

const config = (change: { slot?: number; partition?: string; serial?: string } = {}) => {
  const { module, confPath, slot, label, serial } = token
  return { profile: 'gemalto-safenet', module, confPath, slot, partition: label, serial, ...change } as const
}

async function open(options: Partial<OpenOptions> = {}, change = {}, typed = pin): Promise<KeyStore & EncryptsData> {
  const store = await openKeyStore(config(change), typed, { guard, ...options })
  opened.push(store)
  return store
}

describe('opening a key store', () => {
  it('logs in once and answers the identity of the token', async () => {
    const store = await open()
    assert.deepEqual([store.token.serial, store.token.label, store.token.slot], [token.serial, 'HSMoDnFIPS', 3])
    await store.createKey(keySpec())
    assert.equal((await readLunaState(lunaFolder)).logins, 1)
  })

  it('uses the agent that was started ahead, logs in once, and says so when that one has died', async () => {
    const agent = agentAhead()
    const store = await open({ agent })
    assert.equal(agent.take(), undefined)
    await store.close()
    const child = startAgent()
    child.kill()
    await child.gone
    await assert.rejects(open({ agent: { take: () => child, drop: () => child.kill() } }), {
      code: 'key-store-unavailable'
    })
    assert.equal((await readLunaState(lunaFolder)).logins, 1)
  })

  it('finds the token by serial in another slot', async () => {
    await setLunaState(lunaFolder, { slot: 12 })
    assert.equal((await open()).token.slot, 12)
  })

  it('spends one login on a wrong PIN, however often it is tried', async () => {
    for (let times = 0; times < 4; times++) {
      await assert.rejects(open({}, {}, 'not-the-password'), { code: 'pin-rejected' })
    }
    assert.equal((await readLunaState(lunaFolder)).logins, 1)
  })

  it('stops at another token, without a login, and names what it found', async () => {
    await assert.rejects(open({}, { serial: '1' }), { code: 'conflict', message: /holds "HSMoDnFIPS", serial \d+/ })
    await assert.rejects(open({}, { partition: 'other' }), { code: 'conflict', message: /now called "HSMoDnFIPS"/ })
    assert.equal((await readLunaState(lunaFolder)).logins, 0)
  })

  const refusals: readonly (readonly [string, string, RegExp])[] = [
    ['C_GetTokenInfo=0xE0', 'key-store-unavailable', /cannot be reached.*CKR_TOKEN_NOT_PRESENT from C_GetTokenInfo/],
    ['C_Login=0x30', 'key-store-unavailable', /CKR_DEVICE_ERROR from C_Login/],
    ['C_Login=0xA4', 'pin-rejected', /locked/],
    ['C_Login=0x80000007', 'pin-rejected', /CKR_USER_LOCKED_OUT/],
    ['C_Login=crash', 'key-store-unavailable', /crashed \(SIGSEGV\) in step login/],
    ['C_Initialize=exit', 'key-store-unavailable', /ended itself \(exit code 0\) in step initialize/],
    ['C_OpenSession=hang', 'deadline-exceeded', /within 3000 ms \(session\)/]
  ]
  for (const [faults, code, message] of refusals) {
    it(`answers ${code} to ${faults}`, async () => {
      await setLunaFaults(lunaFolder, faults)
      await assert.rejects(open({ openDeadlineMs: 3_000 }), { code, message })
    })
  }

  it('finds an expired PIN before the first call', async () => {
    await setLunaState(lunaFolder, { initialPin: true })
    await assert.rejects(open(), { code: 'pin-rejected', cure: /role changepw/ })
  })

  it('tells why a library cannot be used', async () => {
    const absent = { ...config(), module: join(folder, 'absent.so') }
    await assert.rejects(openKeyStore(absent, pin, { guard }), { code: 'key-store-unavailable', message: /missing/ })
  })
})

describe('an NSS store', () => {
  const password = 'a long nss password'

  it('is made only when asked for, and only in an empty folder', async () => {
    const place = { profile: 'nss', folder: join(folder, 'nss') } as const
    await assert.rejects(openKeyStore(place, password, { guard }), { code: 'not-found' })
    mkdirSync(place.folder)
    writeFileSync(join(place.folder, 'notes.txt'), '')
    await assert.rejects(openKeyStore(place, password, { guard, create: true }), { code: 'conflict' })
    await assert.rejects(openKeyStore(place, 'eleven char', { guard, create: true }), { code: 'invalid-input' })
  })

  it('that is there is opened, not made anew, when asked for again', async () => {
    const place = { profile: 'nss', folder: join(folder, 'nss-twice') } as const
    const first = await openKeyStore(place, password, { guard, create: true })
    const ref = await first.createKey(keySpec())
    await first.close()
    await assert.rejects(openKeyStore(place, 'another password', { guard, create: true }), { code: 'pin-rejected' })
    const second = await openKeyStore(place, password, { guard, create: true })
    assert.deepEqual(await second.findKey(ref.id), ref)
    await second.close()
  })
})

describe('an open key store', () => {
  it('is lost when a call hangs: the caller hears it in time, and so does the owner', async () => {
    const lost = Promise.withResolvers<AppError>()
    const store = await open({ callDeadlineMs: 1_000, onLost: lost.resolve })
    const ref = await store.createKey(keySpec())
    await store.sign(ref, data)
    await setLunaFaults(lunaFolder, 'C_Sign=hang')
    await assert.rejects(store.sign(ref, data), { code: 'deadline-exceeded' })
    assert.equal((await lost.promise).code, 'deadline-exceeded')
    await assert.rejects(store.ping(), { code: 'key-store-unavailable' })
  })

  it('is lost when the library crashes, and opens again with one login', async () => {
    const lost = Promise.withResolvers<AppError>()
    const store = await open({ onLost: lost.resolve })
    const ref = await store.createKey(keySpec())
    await setLunaFaults(lunaFolder, 'C_Sign=crash')
    const calls = await Promise.allSettled(Array.from({ length: 5 }, () => store.sign(ref, data)))
    assert.ok(calls.every(({ status }) => status === 'rejected'))
    assert.match((await lost.promise).message, /crashed/)
    await setLunaFaults(lunaFolder, '')
    const again = await open()
    assert.ok((await again.sign(ref, data)).length > 60)
    assert.equal((await readLunaState(lunaFolder)).logins, 2)
  })

  for (const code of ['0x30', '0xE0', '0xB3', '0x101', '0x80000024']) {
    it(`is lost when the token answers ${code}`, async () => {
      const lost = Promise.withResolvers<AppError>()
      const store = await open({ onLost: lost.resolve })
      const ref = await store.createKey(keySpec())
      await setLunaFaults(lunaFolder, `C_SignInit=${code}`)
      await assert.rejects(store.sign(ref, data), { code: 'key-store-unavailable' })
      assert.equal((await lost.promise).code, 'key-store-unavailable')
    })
  }

  it('goes on after a call was refused, in a new session', async () => {
    const store = await open()
    const ref = await store.createKey(keySpec())
    await setLunaFaults(lunaFolder, 'C_Sign=0x150*1')
    await assert.rejects(store.sign(ref, data), { code: 'internal', message: /CKR_BUFFER_TOO_SMALL from C_Sign/ })
    await store.sign(ref, data)
  })

  it('looks a key up again when its handle is no longer valid', async () => {
    const store = await open()
    const ref = await store.createKey(keySpec())
    await setLunaFaults(lunaFolder, 'C_SignInit=0x60*1')
    await store.sign(ref, data)
  })

  it('does not use a key that may leave the token', async () => {
    const id = newId()
    const env = { ...process.env, ChrystokiConfigurationPath: token.confPath, PIN: pin }
    const make = ['--keygen', '--key-type', 'AES:32', '--id', id, '--label', 'foreign', '--extractable']
    const tool = ['--module', token.module, '--slot', '3', '--login', '--pin', 'env:PIN']
    execFileSync('pkcs11-tool', [...tool, ...make], { env, stdio: 'pipe' })
    const store = await open()
    await assert.rejects(store.findKey(id), { code: 'conflict', message: /not protected/ })
  })

  it('makes keys that another program finds sensitive, never extractable, and of one use', async () => {
    const store = await open()
    await store.createKey({ id: newId(), algorithm: 'AES-256', label: 'seen from outside' })
    await store.close()
    const env = { ...process.env, ChrystokiConfigurationPath: token.confPath, PIN: pin }
    const tool = ['--module', token.module, '--slot', '3', '--login', '--pin', 'env:PIN', '--list-objects']
    const listed = execFileSync('pkcs11-tool', [...tool, '--type', 'secrkey'], { env, encoding: 'utf8', stdio: 'pipe' })
    const ours = listed.split('Secret Key Object').find((object) => object.includes('seen from outside')) ?? ''
    assert.match(ours, /Usage:\s+encrypt, decrypt\n/)
    assert.match(ours, /Access:\s+sensitive, always sensitive, never extractable, local/)
  })

  it('keeps the PIN out of the command line and the environment of its agent', async () => {
    await open()
    const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ')
    const seen = children.map((child) =>
      ['cmdline', 'environ'].map((f) => readFileSync(`/proc/${child}/${f}`, 'latin1'))
    )
    assert.match(seen.flat().join(), /agent\.ts/)
    assert.doesNotMatch(seen.flat().join(), /crypto-officer|HOME=/)
  })
})
