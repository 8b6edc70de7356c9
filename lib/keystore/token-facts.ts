/** What a slot and its token say about themselves, as plain data; and which token is meant. */
import type { TokenWanted } from './profiles/profile.ts'

export interface TokenFlags {
  readonly loginRequired: boolean
  readonly tokenInitialized: boolean
  readonly userPinInitialized: boolean
  /** A wrong password was entered since the last login that worked. */
  readonly userPinCountLow: boolean
  /** The next wrong password locks. */
  readonly userPinFinalTry: boolean
  readonly userPinLocked: boolean
  readonly userPinToBeChanged: boolean
  readonly writeProtected: boolean
  /** A PIN pad: the password is not typed here. */
  readonly protectedAuthenticationPath: boolean
  readonly hasRandom: boolean
  readonly restoreKeyNotNeeded: boolean
}

/** CKF_ bits of CK_TOKEN_INFO (PKCS#11 v2.40 section 4.2). */
const bits: Readonly<Record<keyof TokenFlags, number>> = {
  hasRandom: 0x1,
  writeProtected: 0x2,
  loginRequired: 0x4,
  userPinInitialized: 0x8,
  restoreKeyNotNeeded: 0x20,
  protectedAuthenticationPath: 0x100,
  tokenInitialized: 0x400,
  userPinCountLow: 0x10000,
  userPinFinalTry: 0x20000,
  userPinLocked: 0x40000,
  userPinToBeChanged: 0x80000
}

export function tokenFlags(flags: number): TokenFlags {
  const on = (name: keyof TokenFlags): boolean => (flags & bits[name]) !== 0
  return {
    loginRequired: on('loginRequired'),
    tokenInitialized: on('tokenInitialized'),
    userPinInitialized: on('userPinInitialized'),
    userPinCountLow: on('userPinCountLow'),
    userPinFinalTry: on('userPinFinalTry'),
    userPinLocked: on('userPinLocked'),
    userPinToBeChanged: on('userPinToBeChanged'),
    writeProtected: on('writeProtected'),
    protectedAuthenticationPath: on('protectedAuthenticationPath'),
    hasRandom: on('hasRandom'),
    restoreKeyNotNeeded: on('restoreKeyNotNeeded')
  }
}

/** As lunacm and the guide write them, without CKF_. */
const flagWords: Readonly<Record<keyof TokenFlags, string>> = {
  hasRandom: 'RNG',
  writeProtected: 'WRITE_PROTECTED',
  loginRequired: 'LOGIN_REQUIRED',
  userPinInitialized: 'USER_PIN_INITIALIZED',
  restoreKeyNotNeeded: 'RESTORE_KEY_NOT_NEEDED',
  protectedAuthenticationPath: 'PROTECTED_AUTHENTICATION_PATH',
  tokenInitialized: 'TOKEN_INITIALIZED',
  userPinCountLow: 'USER_PIN_COUNT_LOW',
  userPinFinalTry: 'USER_PIN_FINAL_TRY',
  userPinLocked: 'USER_PIN_LOCKED',
  userPinToBeChanged: 'USER_PIN_TO_BE_CHANGED'
}

/** Names of the flags that are set, in the order of their bits. */
export function flagNames(flags: TokenFlags): readonly string[] {
  const names = Object.keys(flagWords) as (keyof TokenFlags)[]
  return names.filter((name) => flags[name]).map((name) => flagWords[name])
}

/** Bytes of the token for private objects; null where the token does not tell. */
export interface TokenMemory {
  readonly total: number | null
  readonly free: number | null
}

export interface SlotFacts {
  readonly slot: number
  readonly label: string
  readonly serial: string
  readonly manufacturer: string
  readonly model: string
  /** Two numbers, e.g. "7.1": CK_VERSION has no third. */
  readonly firmware: string
  readonly flags: TokenFlags
  readonly memory: TokenMemory
  /** Most sessions of one application; null when unlimited or not told. */
  readonly maxSessions: number | null
}

export type TokenChoice =
  | {
      readonly found: true
      readonly token: SlotFacts
      readonly by: 'serial' | 'label' | 'slot'
      /** The label that was asked for is the token's (true when none was asked for). */
      readonly labelAgrees: boolean
      /** The slot that was asked for is the token's (true when none was asked for). */
      readonly slotAgrees: boolean
    }
  | {
      readonly found: false
      readonly why: 'no-tokens' | 'serial-absent' | 'label-absent' | 'label-ambiguous'
      /** The token in the slot that was asked for, if there is one. */
      readonly inSlot: SlotFacts | null
    }

/** Resolves by serial, then label, then (neither given) slot; of several equal labels the slot decides. Pure. */
export function chooseToken(slots: readonly SlotFacts[], want: TokenWanted): TokenChoice {
  const inSlot = slots.find((candidate) => candidate.slot === want.slot) ?? null
  const found = (token: SlotFacts, by: 'serial' | 'label' | 'slot'): TokenChoice => ({
    found: true,
    token,
    by,
    labelAgrees: want.label === undefined || token.label === want.label.trimEnd(),
    slotAgrees: want.slot === undefined || token.slot === want.slot
  })
  if (slots.length === 0) return { found: false, why: 'no-tokens', inSlot }
  if (want.serial !== undefined) {
    const matches = slots.filter((candidate) => candidate.serial === want.serial)
    const match = matches.find((candidate) => candidate.slot === want.slot) ?? matches[0]
    return match === undefined ? { found: false, why: 'serial-absent', inSlot } : found(match, 'serial')
  }
  if (want.label === undefined) {
    return inSlot === null ? { found: false, why: 'label-absent', inSlot } : found(inSlot, 'slot')
  }
  const label = want.label.trimEnd()
  const matches = slots.filter((candidate) => candidate.label === label)
  const only = matches.length === 1 ? matches[0] : matches.find((candidate) => candidate.slot === want.slot)
  if (only !== undefined) return found(only, 'label')
  return { found: false, why: matches.length === 0 ? 'label-absent' : 'label-ambiguous', inSlot }
}
