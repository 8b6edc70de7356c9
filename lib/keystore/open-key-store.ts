import type { KeyObject } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { AppError } from '../errors/app-error.ts'
import { type AgentAhead, startAgent } from './agent-ahead.ts'
import { AgentClient } from './agent-client.ts'
import { inspectModuleFile } from './elf.ts'
import { guardedLogin } from './guarded-login.ts'
import type { EncryptsData, KeyRef, KeyStore, KeyStoreConfig, TokenIdentity } from './keystore.ts'
import { moduleStart } from './module-start.ts'
import { inspectNssFolder } from './nss-folder.ts'
import type { PinGuard } from './pin-guard.ts'
import { pinProblem } from './profiles/profile.ts'
import { profileOf } from './profiles/registry.ts'
import { refuseOtherModule } from './proved-module.ts'
import { publicKeyObject } from './public-key.ts'

export interface OpenOptions {
  readonly guard: PinGuard
  /** The agent is gone and was not closed: every later call fails. Open again to go on; told once. */
  readonly onLost?: ((why: AppError) => void) | undefined
  /**
   * How many sessions may do the work, each in a thread of its own; the profile's number by default. The token may allow fewer,
   * see `KeyStore.sessions`.
   */
  readonly sessions?: number | undefined
  /** NSS only: make the store (folder 0700, first password) when the folder holds none. */
  readonly create?: boolean | undefined
  /** A person has confirmed to send a password that the guard holds back. Never set by a program. */
  readonly confirmed?: boolean | undefined
  /** Each step of opening as it begins. */
  readonly onStep?: ((step: string) => void) | undefined
  /** A process that was started ahead; absent: one is started now. */
  readonly agent?: AgentAhead | undefined
  /** Time to open; the profile's by default. Milliseconds. */
  readonly openDeadlineMs?: number | undefined
  /** Time for one call (60 s and more for making a key); a call that takes longer costs the agent its life. Milliseconds. */
  readonly callDeadlineMs?: number | undefined
}

/** An HSM that is frozen is given up after this time, so that callers and readiness say so within 5 s (security.md F01). */
const defaultCallDeadlineMs = 4_000
const most = { random: 4_096, plaintext: 65_536, data: 1_048_576 }

/**
 * Opens a key store in a supervised child, with one login through the guard.
 * Identity, not position: the token is resolved by serial, then label.
 * @throws AppError pin-rejected (never to be retried by a program), conflict (another token than the one meant),
 *   not-found (no NSS store there), invalid-input (password or folder), key-store-unavailable, deadline-exceeded
 */
export async function openKeyStore(
  config: KeyStoreConfig,
  pin: string,
  options: OpenOptions
): Promise<KeyStore & EncryptsData> {
  const profile = profileOf(config)
  const shape = pinProblem(profile, pin)
  if (shape !== null) throw new AppError('invalid-input', shape)
  const start = moduleStart(config, 'write')
  const file = await inspectModuleFile(start.module)
  if (file.problem !== null) {
    throw new AppError('key-store-unavailable', `The library ${start.module} cannot be used (${file.problem}).`)
  }
  refuseOtherModule(file, config.moduleSha256)
  if (config.profile === 'nss') await prepareNssFolder(config.folder, options)
  const callDeadlineMs = options.callDeadlineMs ?? defaultCallDeadlineMs
  const client = new AgentClient(options.agent?.take() ?? startAgent(), {
    profile,
    gate: guardedLogin(config, pin, { guard: options.guard, confirmed: options.confirmed }),
    openDeadlineMs: options.openDeadlineMs ?? profile.deadlineMs(start.module),
    callDeadlineMs,
    onStep: options.onStep,
    onLost: options.onLost
  })
  const token = await client.open({
    start,
    choices: profile.mechanisms,
    copyKeysToSession: profile.copyKeysToSession,
    create: options.create === true,
    sessions: options.sessions ?? profile.sessions(start.module),
    callDeadlineMs
  })
  return new AgentKeyStore(client, token)
}

async function prepareNssFolder(folder: string, { create }: OpenOptions): Promise<void> {
  const found = await inspectNssFolder(folder)
  if (!found.fresh) return
  if (create !== true) {
    throw new AppError('not-found', `The folder ${folder} holds no key store.`, { cure: 'Restore it from its backup.' })
  }
  if (found.foreignFiles.length > 0) {
    throw new AppError('conflict', `The folder ${folder} holds other files.`, { cure: 'Choose an empty folder.' })
  }
  await mkdir(folder, { recursive: true, mode: 0o700 })
}

class AgentKeyStore implements KeyStore, EncryptsData {
  readonly token: TokenIdentity
  readonly #client: AgentClient
  readonly #publicKeys = new Map<string, KeyObject>()

  constructor(client: AgentClient, token: TokenIdentity) {
    this.#client = client
    this.token = token
  }

  get sessions(): number {
    return this.#client.sessions
  }

  createKey: KeyStore['createKey'] = async (spec) => {
    refuseBadId(spec.id)
    return await this.#client.ask('create', spec)
  }

  findKey: KeyStore['findKey'] = async (id) => {
    refuseBadId(id)
    return await this.#client.ask('find', { id })
  }

  publicKey: KeyStore['publicKey'] = async (ref) => {
    const known = this.#publicKeys.get(ref.id)
    if (known !== undefined) return known
    const key = publicKeyObject(await this.#client.ask('publicKey', { id: ref.id }))
    this.#publicKeys.set(ref.id, key)
    return key
  }

  checkValue: KeyStore['checkValue'] = async (ref) => {
    refuseBadId(ref.id)
    return await this.#client.ask('checkValue', { id: ref.id })
  }

  sign: KeyStore['sign'] = async (ref, data) => {
    if (ref.algorithm === 'AES-256') throw new AppError('invalid-input', `The key ${ref.id} does not sign.`)
    refuseBadId(ref.id)
    const { id, algorithm } = ref
    // Verified with the public key where it is made, before it is answered (agent-work.ts): that costs a core of its own.
    return Buffer.from(await this.#client.ask('sign', { id, algorithm, data }))
  }

  random: KeyStore['random'] = async (bytes) => {
    if (!Number.isInteger(bytes) || bytes < 1 || bytes > most.random) {
      throw new AppError('invalid-input', `Between 1 and ${most.random} random bytes can be asked for.`)
    }
    return await this.#client.ask('random', { bytes })
  }

  destroyKey: KeyStore['destroyKey'] = async (id) => {
    refuseBadId(id)
    this.#publicKeys.delete(id)
    return await this.#client.ask('destroy', { id })
  }

  isEmpty: KeyStore['isEmpty'] = async () => await this.#client.ask('isEmpty', {})

  ping: KeyStore['ping'] = async () => {
    await this.#client.ask('ping', {})
  }

  close: KeyStore['close'] = async () => {
    await this.#client.close()
  }

  encrypt: EncryptsData['encrypt'] = async (ref, plaintext, aad) => {
    refuseNotAes(ref)
    if (plaintext.length < 1 || plaintext.length > most.plaintext) {
      throw new AppError('invalid-input', `Between 1 and ${most.plaintext} bytes can be encrypted.`)
    }
    const { mode, iv, data } = await this.#client.ask('encrypt', { id: ref.id, plaintext, aad })
    return { mode, iv: Buffer.from(iv).toString('base64'), data: Buffer.from(data).toString('base64') }
  }

  decrypt: EncryptsData['decrypt'] = async (ref, sealed, aad) => {
    refuseNotAes(ref)
    const iv = Buffer.from(sealed.iv, 'base64')
    const data = Buffer.from(sealed.data, 'base64')
    const [ivBytes, extra] = sealed.mode === 'caller-iv' ? [12, 16] : [0, 32]
    if (iv.length !== ivBytes || data.length <= extra || data.length > most.data) {
      throw new AppError('invalid-input', 'The data cannot be decrypted: it has an impossible length.')
    }
    return await this.#client.ask('decrypt', { id: ref.id, sealed: { mode: sealed.mode, iv, data }, aad })
  }
}

function refuseNotAes(ref: KeyRef): void {
  if (ref.algorithm !== 'AES-256') throw new AppError('invalid-input', `The key ${ref.id} does not encrypt.`)
}

function refuseBadId(id: string): void {
  if (!/^[0-9a-f]{32}$/.test(id))
    throw new AppError('invalid-input', 'A key id is 32 hexadecimal digits in lower case.')
}
