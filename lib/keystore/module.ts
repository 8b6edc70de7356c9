/**
 * A PKCS#11 library, loaded. Only for the children (probe-child.ts, agent.ts): a process that loads a vendor's library
 * may hang, crash or print at any call, so nothing that must stay alive imports this file.
 */
import { setTimeout as pause } from 'node:timers/promises'
import pkcs11js from 'pkcs11js'
import { ckrOf } from './ckr.ts'
import { type CallFailure, callFailure } from './ckr-error.ts'
import type { ModuleStart } from './profiles/profile.ts'
import { chooseToken, type SlotFacts, type TokenChoice, type TokenMemory, tokenFlags } from './token-facts.ts'

/** A call that the library refused. */
export class CallRefused extends Error {
  readonly failure: CallFailure

  constructor(failure: CallFailure) {
    super(`${failure.call}: ${failure.ckr ?? failure.message}`)
    this.name = 'CallRefused'
    this.failure = failure
  }
}

/** Runs one call; whatever it throws becomes CallRefused with the name of the function. */
export function attempt<T>(call: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw error instanceof CallRefused ? error : new CallRefused(callFailure(call, error))
  }
}

export function loadModule(path: string): pkcs11js.PKCS11 {
  const library = new pkcs11js.PKCS11()
  attempt('dlopen', () => library.load(path))
  return library
}

/** Always with CKF_OS_LOCKING_OK: without it the library may crash under threads (pkcs11.md section 0). */
export function initialize(library: pkcs11js.PKCS11, start: ModuleStart): void {
  const { libraryParameters } = start
  const flags = pkcs11js.CKF_OS_LOCKING_OK
  const options = libraryParameters === undefined ? { flags } : { flags, libraryParameters }
  attempt('C_Initialize', () => library.C_Initialize(options))
}

export interface FoundToken {
  readonly slots: readonly SlotFacts[]
  readonly choice: TokenChoice
  /** Null when no token was chosen. */
  readonly handle: pkcs11js.Handle | null
}

/**
 * Looks for the token that is wanted. SoftHSM rewrites its token file at every login, so that a process that starts
 * meanwhile sees no token or none with a PIN (pkcs11.md section 6): "absent" is believed only the third time.
 */
export async function findToken(library: pkcs11js.PKCS11, start: ModuleStart): Promise<FoundToken> {
  for (const waitMs of [50, 150, 0]) {
    const slots = readSlots(library)
    const facts = slots.map((slot) => slot.facts)
    const choice = chooseToken(facts, start.want)
    const handle = choice.found ? slots.find((slot) => slot.facts === choice.token)?.handle : undefined
    const certain = choice.found && (choice.token.flags.userPinInitialized || start.libraryParameters !== undefined)
    if (certain || waitMs === 0) return { slots: facts, choice, handle: handle ?? null }
    await pause(waitMs)
    attempt('C_Finalize', () => library.C_Finalize())
    initialize(library, start)
  }
  throw new Error('unreachable')
}

/** A read-write session. */
export function openSession(library: pkcs11js.PKCS11, slot: pkcs11js.Handle): pkcs11js.Handle {
  const flags = pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION
  return attempt('C_OpenSession', () => library.C_OpenSession(slot, flags))
}

/** CKS_RW_USER_FUNCTIONS: what a read-write session is in while the user is logged in. */
const rwUserFunctions = 3
const userNotLoggedIn = 0x101

/** A read-write session of the login that the process has. @throws CallRefused, as USER_NOT_LOGGED_IN when it has none any more */
export function openUserSession(library: pkcs11js.PKCS11, slot: pkcs11js.Handle): pkcs11js.Handle {
  const session = openSession(library, slot)
  refuseLoggedOut(library, session)
  return session
}

/** One cheap call that shows whether session and login still hold. */
export function refuseLoggedOut(library: pkcs11js.PKCS11, session: pkcs11js.Handle): void {
  const { state } = attempt('C_GetSessionInfo', () => library.C_GetSessionInfo(session))
  if (state === rwUserFunctions) return
  const { name, say } = ckrOf(userNotLoggedIn)
  throw new CallRefused({ call: 'C_GetSessionInfo', ckr: name, code: userNotLoggedIn, message: say })
}

/** Most sessions beside the one that is open, of those that the token allows one application; null when it does not tell. */
export function sessionsLeft(library: pkcs11js.PKCS11, slot: pkcs11js.Handle): number | null {
  const { maxSessionCount, maxRwSessionCount } = attempt('C_GetTokenInfo', () => library.C_GetTokenInfo(slot))
  const limits = [told(maxSessionCount), told(maxRwSessionCount)].filter((limit) => limit !== null && limit > 0)
  return limits.length === 0 ? null : Math.max(0, Math.min(...limits.map(Number)) - 1)
}

/** One C_Login as user (Crypto Officer); null when it was accepted. */
export function logIn(library: pkcs11js.PKCS11, session: pkcs11js.Handle, pin: string): CallFailure | null {
  try {
    attempt('C_Login', () => library.C_Login(session, pkcs11js.CKU_USER, pin))
    return null
  } catch (error) {
    if (error instanceof CallRefused) return error.failure
    throw error
  }
}

/** A new NSS store only: SO with the empty password, once (domain.md A5). Never sent to a token that has a PIN. */
export function giveFirstPin(library: pkcs11js.PKCS11, session: pkcs11js.Handle, pin: string): void {
  attempt('C_Login', () => library.C_Login(session, pkcs11js.CKU_SO, ''))
  attempt('C_InitPIN', () => library.C_InitPIN(session, pin))
  attempt('C_Logout', () => library.C_Logout(session))
}

/** Slots that hold a token. A slot whose token does not answer is left out: it cannot be chosen either. */
function readSlots(library: pkcs11js.PKCS11): { facts: SlotFacts; handle: pkcs11js.Handle }[] {
  const slots: { facts: SlotFacts; handle: pkcs11js.Handle }[] = []
  let refused: CallRefused | undefined
  for (const handle of attempt('C_GetSlotList', () => library.C_GetSlotList(true))) {
    try {
      const info = attempt('C_GetTokenInfo', () => library.C_GetTokenInfo(handle))
      slots.push({ facts: slotFacts(handle, info), handle })
    } catch (error) {
      if (!(error instanceof CallRefused)) throw error
      refused = error
    }
  }
  if (slots.length === 0 && refused !== undefined) throw refused
  return slots
}

function slotFacts(handle: pkcs11js.Handle, info: pkcs11js.TokenInfo): SlotFacts {
  return {
    slot: Number(handle.readBigUInt64LE()),
    label: unpadded(info.label),
    serial: unpadded(info.serialNumber),
    manufacturer: unpadded(info.manufacturerID),
    model: unpadded(info.model),
    firmware: `${info.firmwareVersion.major}.${info.firmwareVersion.minor}`,
    flags: tokenFlags(info.flags),
    memory: memory(info),
    maxSessions: told(info.maxSessionCount) || null
  }
}

/** Fixed-length fields are padded with blanks, by some libraries with zeros. */
export function unpadded(text: string): string {
  return text.replace(/[\0 ]+$/, '')
}

function memory(info: pkcs11js.TokenInfo): TokenMemory {
  const total = told(info.totalPrivateMemory)
  const free = told(info.freePrivateMemory)
  // A total of 0 or 1 byte (NSS) is no figure.
  return total === null || total <= 1 ? { total: null, free: null } : { total, free }
}

/** CK_UNAVAILABLE_INFORMATION is all ones, in 32 or 64 bits; pkcs11js gives some counts as BigInt. */
function told(count: number | bigint): number | null {
  const value = Number(count)
  return value === 0xffffffff || value >= 2 ** 63 ? null : value
}
