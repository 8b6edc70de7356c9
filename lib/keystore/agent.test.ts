/** The hsm-agent from outside: sessions, who waits for whom, what is tried again, and what never leaves. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes, verify } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { freshState, readLunaState, readLunaStrikes, setLunaFaults, setLunaState } from '../../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../../sandbox/luna/token.ts'
import type { AppError } from '../errors/app-error.ts'
import type { EncryptsData, KeyAlgorithm, KeyRef, KeyStore } from './keystore.ts'
import { type OpenOptions, openKeyStore } from './open-key-store.ts'
import { openPinGuard } from './pin-guard.ts'

const folder = mkdtempSync(join(tmpdir(), 'agent-'))
const lunaFolder = join(folder, 'luna')
const pin = 'crypto-officer-1'
const data = Buffer.from('to be signed')
const newId = () => randomBytes(16).toString('hex')

let token: LunaToken
let states = 0
let opened: (KeyStore & EncryptsData)[] = []
let lost: PromiseWithResolvers<AppError>

before(async () => {
  token = await createLunaToken(lunaFolder, { pin, soPin: 'partition-so-1' })
})
beforeEach(async () => {
  await setLunaState(lunaFolder, freshState)
  await setLunaFaults(lunaFolder, '')
  lost = Promise.withResolvers()
})
afterEach(async () => {
  await setLunaFaults(lunaFolder, '')
  await Promise.all(opened.map((store) => store.close()))
  opened = []
})
after(() => rmSync(folder, { recursive: true }))

async function open(options: Partial<OpenOptions> = {}): Promise<KeyStore & EncryptsData> {
  const { module, confPath, slot, label, serial } = token
  const config = { profile: 'gemalto-safenet', module, confPath, slot, partition: label, serial } as const
  const guard = openPinGuard(join(folder, `state-${++states}`))
  const store = await openKeyStore(config, pin, { guard, sessions: 2, onLost: lost.resolve, ...options })
  opened.push(store)
  return store
}

async function openWith(algorithm: KeyAlgorithm, options: Partial<OpenOptions> = {}) {
  const store = await open(options)
  return { store, ref: await store.createKey({ id: newId(), algorithm, label: 'test' }) }
}

/** Workers are added one after the other while the store is in use already. */
async function grown(store: KeyStore, sessions: number): Promise<void> {
  while (store.sessions < sessions) await store.ping()
}

async function assertSigns(store: KeyStore, ref: KeyRef): Promise<void> {
  assert.ok(verify('sha256', data, await store.publicKey(ref), await store.sign(ref, data)))
}

describe('the sessions of an agent', () => {
  it('are as many as were asked for, one thread each, with one login', async () => {
    const { store, ref } = await openWith('EC-P256', { sessions: 5 })
    await grown(store, 5)
    await Promise.all(Array.from({ length: 50 }, () => assertSigns(store, ref)))
    assert.equal(store.sessions, 5)
    assert.equal((await readLunaState(lunaFolder)).logins, 1)
  })

  it('are no more than the token allows beside the anchor', async () => {
    await setLunaState(lunaFolder, { maxSessions: 3 })
    const { store, ref } = await openWith('EC-P256', { sessions: 5 })
    await grown(store, 2)
    await Promise.all(Array.from({ length: 50 }, () => assertSigns(store, ref)))
    assert.equal(store.sessions, 2)
  })

  it('are the anchor alone when the token refuses any other', async () => {
    // The anchor is open when the keys are looked for; whoever comes later is refused, though the token told no limit.
    const refused = Promise.withResolvers<void>()
    const onStep = (step: string) => {
      if (step === 'login') setLunaFaults(lunaFolder, 'C_OpenSession=0xB1').then(refused.resolve, refused.reject)
    }
    await setLunaFaults(lunaFolder, 'C_Login=lat:300000')
    const { store, ref } = await openWith('EC-P256', { onStep })
    await refused.promise
    await Promise.all(Array.from({ length: 20 }, () => assertSigns(store, ref)))
    assert.equal(store.sessions, 1)
  })
})

describe('the anchor alone', () => {
  it('is given up with an operation that was left half done, for it holds the login', async () => {
    await setLunaState(lunaFolder, { maxSessions: 1 })
    const { store, ref } = await openWith('EC-P256')
    await store.sign(ref, data)
    await setLunaFaults(lunaFolder, 'C_Sign=0x91*1')
    await assert.rejects(store.sign(ref, data), { code: 'key-store-unavailable', message: /from C_Sign/ })
    await lost.promise
  })
})

describe('one call', () => {
  it('that takes long holds up no other', async () => {
    const { store, ref } = await openWith('EC-P256')
    await grown(store, 2)
    await store.sign(ref, data)
    await setLunaFaults(lunaFolder, 'C_Sign=lat:900000*1')
    const order: string[] = []
    const slow = store.sign(ref, data).then(() => order.push('slow'))
    // Either thread may be the first at the library: the slow one is to be this one's.
    while ((await readLunaStrikes(lunaFolder))[0] === 0) await store.ping()
    for (let times = 0; times < 10; times++) await store.sign(ref, data).then(() => order.push('quick'))
    await slow
    assert.deepEqual(order, [...Array(10).fill('quick'), 'slow'])
  })

  it('that makes a key holds up no signature, and two of them neither', async () => {
    const { store, ref } = await openWith('EC-P256')
    await grown(store, 2)
    await setLunaFaults(lunaFolder, 'C_GenerateKeyPair=lat:800000*9')
    const order: string[] = []
    const keys = [1, 2].map(async () => {
      await store.createKey({ id: newId(), algorithm: 'EC-P256', label: 'slow' })
      order.push('key')
    })
    while ((await readLunaStrikes(lunaFolder))[0] === 0) await store.ping()
    for (let times = 0; times < 10; times++) await assertSigns(store, ref).then(() => order.push('signature'))
    await Promise.all(keys)
    assert.deepEqual(order, [...Array(10).fill('signature'), 'key', 'key'])
  })

  it('is refused when a thousand wait already, and those are served', async () => {
    const { store, ref } = await openWith('EC-P256')
    const calls = await Promise.allSettled(Array.from({ length: 1_500 }, () => store.sign(ref, data)))
    const refused = calls.filter(({ status }) => status === 'rejected')
    assert.ok(refused.length >= 300 && refused.length <= 500, `${refused.length} were refused`)
    for (const call of refused) {
      assert.deepEqual([call.status, 'reason' in call && call.reason.code], ['rejected', 'key-store-unavailable'])
    }
    await assertSigns(store, ref)
  })

  it('of which the same key is made twice at once makes one key', async () => {
    const store = await open()
    const spec = { id: newId(), algorithm: 'AES-256', label: 'once' } as const
    const both = await Promise.allSettled([store.createKey(spec), store.createKey(spec)])
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    assert.equal((await store.findKey(spec.id))?.id, spec.id)
  })
})

describe('after a refusal that is about the session or the handle', () => {
  for (const fault of [
    'C_SignInit=0x90*1',
    'C_SignInit=0xB3*1',
    'C_Sign=0xB0*1',
    'C_SignInit=0x82*1',
    'C_Sign=0x91*1'
  ]) {
    it(`${fault}: the key is looked up again, the session is a new one, and the caller notices nothing`, async () => {
      const { store, ref } = await openWith('EC-P256')
      await store.sign(ref, data)
      await setLunaFaults(lunaFolder, fault)
      await assertSigns(store, ref)
      assert.equal((await readLunaState(lunaFolder)).logins, 1)
    })
  }

  it('encryption goes on too, under the same key', async () => {
    const { store, ref } = await openWith('AES-256')
    const aad = Buffer.from('row')
    const before = await store.encrypt(ref, data, aad)
    await setLunaFaults(lunaFolder, 'C_EncryptInit=0x60*1')
    const sealed = await store.encrypt(ref, data, aad)
    await setLunaFaults(lunaFolder, 'C_Decrypt=0xB3*1')
    for (const one of [before, sealed]) assert.deepEqual(Buffer.from(await store.decrypt(ref, one, aad)), data)
  })

  it('a thread that gets no other session leaves its work to those that have one', async () => {
    const { store, ref } = await openWith('EC-P256')
    await grown(store, 2)
    await store.sign(ref, data)
    await setLunaFaults(lunaFolder, 'C_SignInit=0x90*1;C_OpenSession=0xB1')
    for (let times = 0; times < 30; times++) await assertSigns(store, ref)
    await setLunaFaults(lunaFolder, '')
    await Promise.all(Array.from({ length: 30 }, () => assertSigns(store, ref)))
  })

  it('a key is not made a second time: the caller hears it, and the store is lost', async () => {
    const store = await open()
    await setLunaFaults(lunaFolder, 'C_GenerateKey=0xB3*1')
    const spec = { id: newId(), algorithm: 'AES-256', label: 'x' } as const
    await assert.rejects(store.createKey(spec), { code: 'key-store-unavailable' })
    await lost.promise
  })
})

describe('what never leaves', () => {
  /** Another private half under the same id: what a stale handle or a swapped object comes to. */
  function swapPrivateHalf(id: string): void {
    const env = { ...process.env, ChrystokiConfigurationPath: token.confPath, PIN: pin }
    const tool = (...args: string[]) =>
      execFileSync(
        'pkcs11-tool',
        ['--module', token.module, '--slot', '3', '--login', '--pin', 'env:PIN', '--id', id, ...args],
        { env, stdio: 'pipe' }
      )
    tool('--delete-object', '--type', 'privkey')
    tool('--keypairgen', '--key-type', 'EC:prime256v1', '--label', 'intruder', '--sensitive')
    tool('--delete-object', '--type', 'pubkey', '--label', 'intruder')
  }

  for (const [who, sessions] of [
    ['the thread that signs', 1],
    ['the thread that verifies for all', 40]
  ] as const) {
    it(`a signature of another key, when ${who} verifies`, async () => {
      const { store: first, ref } = await openWith('EC-P256')
      await first.close()
      swapPrivateHalf(ref.id)
      const store = await open({ sessions })
      await assert.rejects(store.sign(ref, data), { code: 'key-store-unavailable', message: /wrong signature/ })
      assert.match((await lost.promise).message, /wrong signature/)
    })
  }

  it('a signature of a key that has another public half than before', async () => {
    const { store, ref } = await openWith('EC-P256')
    await store.sign(ref, data)
    const other = await open()
    await other.destroyKey(ref.id)
    await other.createKey({ ...ref })
    await setLunaFaults(lunaFolder, 'C_SignInit=0x60*1')
    await assert.rejects(store.sign(ref, data), { code: 'conflict', message: /another one now/ })
  })
})

describe('an agent that is of no use', () => {
  it('because it stands still as a whole is given up after the time for a call, and a second', async () => {
    const { store, ref } = await openWith('EC-P256', { callDeadlineMs: 1_000 })
    const agent = agentOf()
    process.kill(agent, 'SIGSTOP')
    await assert.rejects(store.sign(ref, data), { code: 'deadline-exceeded', message: /said nothing for 2000 ms/ })
    assert.equal((await lost.promise).code, 'deadline-exceeded')
  })

  it('because of three unspecified errors in a row is given up, not because of two', async () => {
    const { store, ref } = await openWith('EC-P256')
    for (const errors of [2, 2, 3]) {
      await setLunaFaults(lunaFolder, `C_Sign=0x05*${errors}`)
      const refused = { code: 'key-store-unavailable', message: /CKR_GENERAL_ERROR from C_Sign/ }
      for (let times = 0; times < errors; times++) await assert.rejects(store.sign(ref, data), refused)
      if (errors === 2) await assertSigns(store, ref)
    }
    await lost.promise
  })

  it('because it lost its login while nobody called is found out by the ping', async () => {
    const store = await open()
    await setLunaState(lunaFolder, { present: false })
    await assert.rejects(store.ping(), { code: 'key-store-unavailable' })
    await lost.promise
  })
})

/** The one agent that runs. */
function agentOf(): number {
  const [agent] = readdirSync('/proc').filter((pid) => {
    try {
      const parent = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
      return parent === `${process.pid}` && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('agent.ts')
    } catch {
      return false
    }
  })
  assert.ok(agent)
  return Number(agent)
}
