/** For ckr-matrix.test.ts: one partition of its own, one key store on it, and what became of a call that the token refused. */
import assert from 'node:assert/strict'
import { type KeyObject, randomBytes, verify } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { readLunaState, readLunaStrikes, setLunaFaults } from '../../sandbox/luna/state.ts'
import { createLunaToken } from '../../sandbox/luna/token.ts'
import { AppError } from '../errors/app-error.ts'
import { ckrOf } from './ckr.ts'
import type { EncryptsData, KeyRef, KeyStore, KeyStoreConfig, Sealed } from './keystore.ts'
import { openKeyStore } from './open-key-store.ts'
import { openPinGuard, type PinGuard } from './pin-guard.ts'
import { probeToken } from './probe.ts'

/**
 * What a caller meets: `S` served, the output right; `R` this call refused, the key store goes on; `U` not available this once
 * (503), the key store goes on; `L` lost (503), to be opened again; `N` not opened (503); `P` the PIN: sealed, never retried.
 */
export type Outcome = 'S' | 'R' | 'U' | 'L' | 'N' | 'P'

const sessions = 2

export interface Cell {
  readonly call: string
  readonly code: number
  readonly forGood: boolean
}

type Store = KeyStore & EncryptsData

const pin = 'crypto-officer-1'
const data = Buffer.from('to be signed')
const aad = Buffer.from('row 7')
const newId = () => randomBytes(16).toString('hex')
const sampleKeys = 40
const pinIncorrect = 0xa0

interface Sample {
  readonly signing: KeyRef
  readonly publicKey: KeyObject
  readonly master: KeyRef
  readonly sealed: Sealed
}

export interface Bench {
  readonly run: (cell: Cell) => Promise<Outcome>
  /** Removes everything. Wrong PINs that the token has seen. */
  readonly end: () => Promise<number>
}

export async function newBench(): Promise<Bench> {
  const dir = mkdtempSync(join(tmpdir(), 'matrix-'))
  const { module, confPath, slot, label, serial } = await createLunaToken(dir, { pin, soPin: 'partition-so-1' })
  const config: KeyStoreConfig = { profile: 'gemalto-safenet', module, confPath, slot, partition: label, serial }
  let guards = 0
  let lost: AppError | undefined
  let store: Store | undefined
  /** Not looked for yet by the store that is open: it would remember them. */
  let unseen: string[] = []
  const findable: string[] = []
  const newGuard = () => openPinGuard(join(dir, `guard-${++guards}`))
  const open = (guard = newGuard(), onLost?: (why: AppError) => void) =>
    openKeyStore(config, pin, { guard, sessions, onLost })

  async function theStore(): Promise<Store> {
    if (store !== undefined && lost === undefined) return store
    await store?.close()
    lost = undefined
    store = await open(newGuard(), (why) => {
      lost = why
    })
    // The second worker joins after the opening: its own calls would meet the rule that is meant for ours.
    while (store.sessions < sessions && lost === undefined) await turn()
    unseen = [...findable]
    return store
  }

  const first = await theStore()
  for (let made = 0; made < sampleKeys; made++)
    findable.push((await first.createKey({ id: newId(), algorithm: 'AES-256', label: 'to be found' })).id)
  const sample = await newSample(first)
  await first.close()
  store = undefined

  /** How often the rule was met, kept before it is lifted. */
  let met = 0
  async function lift(): Promise<void> {
    met += (await readLunaStrikes(dir))[0] ?? 0
    await setLunaFaults(dir, '')
  }

  /** @returns what the call answered was checked; throws what the call threw */
  async function prepared(call: string, guard: PinGuard): Promise<() => Promise<unknown>> {
    if (opening.has(call)) return async () => await servesAndCloses(await open(guard))
    if (call === 'C_GetMechanismList') return async () => await provesMechanisms(config)
    const open_ = await theStore()
    switch (call) {
      case 'C_FindObjectsInit':
      case 'C_FindObjects':
      case 'C_GetAttributeValue': {
        if (unseen.length === 0) await startAnew()
        const id = unseen.pop() ?? ''
        const by = await theStore()
        return async () => assert.equal((await by.findKey(id))?.id, id, 'wrong output: a key is not found')
      }
      case 'C_GenerateKey':
      case 'C_GenerateKeyPair':
        return async () => {
          const algorithm = call === 'C_GenerateKey' ? 'AES-256' : 'EC-P256'
          const made = await open_.createKey({ id: newId(), algorithm, label: 'made' })
          await lift()
          assert.deepEqual(await open_.findKey(made.id), made, 'wrong output: the key is not there')
          assert.equal(await open_.destroyKey(made.id), true)
        }
      case 'C_SignInit':
      case 'C_Sign':
        return async () => signs(open_, sample)
      case 'C_EncryptInit':
      case 'C_Encrypt':
        return async () => {
          const sealed = await open_.encrypt(sample.master, data, aad)
          await lift()
          assert.deepEqual(Buffer.from(await open_.decrypt(sample.master, sealed, aad)), data, 'wrong output: encrypt')
        }
      case 'C_DecryptInit':
      case 'C_Decrypt':
        return async () => {
          const opened = await open_.decrypt(sample.master, sample.sealed, aad)
          assert.deepEqual(Buffer.from(opened), data, 'wrong output: decrypt')
        }
      case 'C_GenerateRandom':
        return async () => {
          const drawn = Buffer.from(await open_.random(32))
          assert.ok(drawn.length === 32 && !drawn.equals(Buffer.alloc(32)), 'wrong output: random')
        }
      case 'C_GetSessionInfo':
        return async () => await open_.ping()
      case 'C_DestroyObject': {
        const { id } = await open_.createKey({ id: newId(), algorithm: 'AES-256', label: 'to be destroyed' })
        return async () => {
          assert.equal(await open_.destroyKey(id), true)
          await lift()
          assert.equal(await open_.findKey(id), null, 'wrong output: it is still there')
        }
      }
      default:
        throw new Error(`no operation for ${call}`)
    }
  }

  async function startAnew(): Promise<void> {
    await store?.close()
    store = undefined
  }

  async function run({ call, code, forGood }: Cell): Promise<Outcome> {
    const guard = newGuard()
    const attempt = await prepared(call, guard)
    met = 0
    await setLunaFaults(dir, `${call}=0x${code.toString(16)}*${forGood ? 1_000_000 : 1}`)
    const thrown = await attempt().then(
      () => undefined,
      (error: unknown) => error
    )
    if (call === 'C_Login' && code === pinIncorrect) await notSentAgain(guard)
    await lift()
    assert.notEqual(met, 0, 'nothing was tried: the function was not called')
    if (call === 'C_Login' && ckrOf(code).class !== 'pin') await servesAndCloses(await open(guard))
    if (thrown === undefined) return 'S'
    if (!(thrown instanceof AppError)) throw thrown
    assert.doesNotMatch(thrown.message, /crashed|ended itself|did not answer within|said nothing/)
    return await outcomeOf(call, thrown)
  }

  /** A PIN that was rejected is not sent again. */
  async function notSentAgain(guard: PinGuard): Promise<void> {
    await assert.rejects(open(guard), { code: 'pin-rejected' })
    assert.equal((await readLunaStrikes(dir))[0], 1, 'the rejected PIN was sent again')
  }

  async function outcomeOf(call: string, thrown: AppError): Promise<Outcome> {
    if (thrown.code === 'pin-rejected') return 'P'
    if (opening.has(call) || call === 'C_GetMechanismList') {
      assert.equal(thrown.code, 'key-store-unavailable')
      return 'N'
    }
    await turn()
    if (lost !== undefined) {
      assert.ok(['key-store-unavailable', 'internal', 'invalid-input'].includes(thrown.code), thrown.code)
      return 'L'
    }
    assert.notEqual(store, undefined)
    if (store !== undefined) await signs(store, sample)
    return thrown.code === 'key-store-unavailable' ? 'U' : 'R'
  }

  return {
    run,
    end: async () => {
      await setLunaFaults(dir, '')
      await store?.close()
      const { rejections } = await readLunaState(dir)
      rmSync(dir, { recursive: true, force: true })
      return rejections
    }
  }

  async function servesAndCloses(opened: Store): Promise<void> {
    try {
      await lift()
      await signs(opened, sample)
    } finally {
      await opened.close()
    }
  }
}

const opening: ReadonlySet<string> = new Set([
  'C_Initialize',
  'C_GetSlotList',
  'C_GetTokenInfo',
  'C_OpenSession',
  'C_Login'
])

async function newSample(store: Store): Promise<Sample> {
  const signing = await store.createKey({ id: newId(), algorithm: 'EC-P256', label: 'signs' })
  const master = await store.createKey({ id: newId(), algorithm: 'AES-256', label: 'master' })
  const publicKey = await store.publicKey(signing)
  return { signing, publicKey, master, sealed: await store.encrypt(master, data, aad) }
}

async function signs(store: Store, { signing, publicKey }: Sample): Promise<void> {
  const signature = await store.sign(signing, data)
  assert.equal(verify('sha256', data, publicKey, signature), true, 'wrong output: signature')
}

async function provesMechanisms(config: KeyStoreConfig): Promise<void> {
  const { stopped, mechanisms } = await probeToken(config)
  if (stopped === null) return assert.ok(mechanisms.length > 0, 'wrong output: no mechanisms')
  assert.equal(stopped.why, 'refused', `the probe was stopped otherwise: ${JSON.stringify(stopped)}`)
  throw new AppError('key-store-unavailable', 'the probe stopped there')
}
