/** What the partition remembers and how it misbehaves, set and read from outside while programs use it. */
import { randomInt } from 'node:crypto'
import { readFile, rename, truncate, writeFile } from 'node:fs/promises'
import { pinMac } from './pin-mac.ts'
import { lengthOf, readWords, statePath, textOfWords, wordOf, words, wordsOfText, writeWords } from './words.ts'

/** AES-GCM: who makes the IV. `token-iv-parameter`: the token makes it, and wants it back as the parameter to decrypt. */
const gcmModes = ['caller-iv', 'token-iv', 'token-iv-parameter'] as const
/** What the slots beside the first one are. `ha-only`: the first one itself is the group, and members are hidden. */
const otherKinds = ['partitions', 'same-label', 'ha-group', 'ha-only'] as const
/** `counted`: from the failures, as a token does. The others are shown whatever was counted. */
const pinFlagKinds = ['counted', 'none', 'count-low', 'final-try', 'locked'] as const

/** What the partition remembers, over all processes, and its moods. */
export interface LunaState {
  /** The slot number under which it shows itself. */
  readonly slot: number
  /** Wrong user PINs in a row that lock it. */
  readonly lockAt: number
  /** Calls of C_Login as Crypto Officer, refused ones included. Setting it to 0 forgets those of each PIN too. */
  readonly logins: number
  /** Wrong user PINs since the last right one (C_Login and C_SetPIN). */
  readonly failures: number
  /** Wrong user PINs ever. */
  readonly rejections: number
  readonly soLogins: number
  readonly soFailures: number
  /** The PIN is the one that the Partition SO set: CKR_PIN_EXPIRED on the first operation. */
  readonly initialPin: boolean
  /**
   * False: the slot shows no token, its calls answer CKR_TOKEN_NOT_PRESENT, calls in a session CKR_DEVICE_ERROR. True again: a
   * process that was there meanwhile gets CKR_DEVICE_ERROR until C_Finalize and C_Initialize, and has to log in anew.
   */
  readonly present: boolean
  /** `token-iv`: a FIPS partition. A caller's IV: CKR_MECHANISM_PARAM_INVALID; an empty one: 16 bytes behind the tag. */
  readonly gcm: (typeof gcmModes)[number]
  /** KW and KWP as 0x80000170 and 0x80000171 in place of 0x2109 and 0x210A. */
  readonly vendorWrap: boolean
  /** RSA key pairs by CKM_RSA_FIPS_186_3_PRIME_KEY_PAIR_GEN (0x80000143) in place of CKM_RSA_PKCS_KEY_PAIR_GEN. */
  readonly vendorRsa: boolean
  /** Sessions of one process, then CKR_SESSION_COUNT; 0: no limit, and none told. */
  readonly maxSessions: number
  /** C_WrapKey of a private key: CKR_KEY_NOT_WRAPPABLE (partition policy 1). */
  readonly refusePrivateWrap: boolean
  /** How many slots are listed, 1 to 8: from `slot` upwards. All show the one partition, under other serials. */
  readonly slots: number
  readonly others: (typeof otherKinds)[number]
  /** Another token is in the slot: same label, the serial is one higher. */
  readonly swapped: boolean
  readonly pinFlags: (typeof pinFlagKinds)[number]
  /** False: before `partition init`; blank label, and a login answers CKR_USER_PIN_NOT_INITIALIZED. */
  readonly initialised: boolean
  /** False: before `role init -name Crypto Officer`. */
  readonly cryptoOfficer: boolean
  /** Free storage that it tells, in bytes of 159744. */
  readonly freeBytes: number
  /** Another label than its own, up to 32 bytes; '' = its own. */
  readonly label: string
}

/** C_Login calls with one PIN. */
export interface LunaLogins {
  /** 16 hexadecimal digits of a keyed hash: the PIN itself is nowhere. */
  readonly mac: string
  /** C_Login as Crypto Officer with this PIN, whatever the answer. */
  readonly logins: number
  /** Answered CKR_PIN_INCORRECT, C_SetPIN included. */
  readonly rejections: number
}

const magic = 0x414e554c
const layout = 1

export const freshState: LunaState = {
  slot: 3,
  lockAt: 10,
  logins: 0,
  failures: 0,
  rejections: 0,
  soLogins: 0,
  soFailures: 0,
  initialPin: false,
  present: true,
  gcm: 'caller-iv',
  vendorWrap: false,
  vendorRsa: false,
  maxSessions: 0,
  refusePrivateWrap: false,
  slots: 1,
  others: 'partitions',
  swapped: false,
  pinFlags: 'counted',
  initialised: true,
  cryptoOfficer: true,
  freeBytes: 159_744,
  label: ''
}

const numbers = [
  'slot',
  'lockAt',
  'logins',
  'failures',
  'rejections',
  'soLogins',
  'soFailures',
  'maxSessions',
  'slots',
  'freeBytes'
] as const
const switches = ['initialPin', 'vendorWrap', 'vendorRsa', 'refusePrivateWrap', 'swapped'] as const
/** Kept the other way round, so that a memory of zeros is a partition without moods. */
const negated = { present: 'absent', initialised: 'uninitialised', cryptoOfficer: 'noCryptoOfficer' } as const
const choices = { gcm: gcmModes, others: otherKinds, pinFlags: pinFlagKinds } as const

/** @param dir the folder given to createLunaToken. */
export async function readLunaState(dir: string): Promise<LunaState> {
  const all = await readWords(dir)
  const at = (name: keyof typeof wordOf) => all[wordOf[name]] ?? 0
  return {
    ...freshState,
    ...Object.fromEntries(numbers.map((key) => [key, at(key)])),
    ...Object.fromEntries(switches.map((key) => [key, at(key) === 1])),
    present: at('absent') === 0,
    initialised: at('uninitialised') === 0,
    cryptoOfficer: at('noCryptoOfficer') === 0,
    gcm: gcmModes[at('gcm')] ?? 'caller-iv',
    others: otherKinds[at('others')] ?? 'partitions',
    pinFlags: pinFlagKinds[at('pinFlags')] ?? 'counted',
    label: textOfWords(all, wordOf.label, lengthOf.label)
  }
}

/** Writes the given fields into the running partition; every process sees them at its next call. */
export async function setLunaState(dir: string, change: Partial<LunaState>): Promise<void> {
  const all = await readWords(dir)
  const values = new Map<number, number>()
  for (const key of numbers) if (change[key] !== undefined) values.set(wordOf[key], change[key])
  for (const key of switches) if (change[key] !== undefined) values.set(wordOf[key], change[key] ? 1 : 0)
  for (const key of Object.keys(negated) as (keyof typeof negated)[])
    if (change[key] !== undefined) values.set(wordOf[negated[key]], change[key] ? 0 : 1)
  for (const key of Object.keys(choices) as (keyof typeof choices)[]) {
    const chosen = change[key]
    if (chosen !== undefined) values.set(wordOf[key], (choices[key] as readonly string[]).indexOf(chosen))
  }
  if (change.label !== undefined)
    for (const [index, value] of wordsOfText(wordOf.label, lengthOf.label, change.label)) values.set(index, value)
  if (change.logins === 0) for (let i = 0; i < lengthOf.pins; i++) values.set(wordOf.pins + i, 0)
  if (change.present === false && all[wordOf.absent] === 0) values.set(wordOf.losses, (all[wordOf.losses] ?? 0) + 1)
  await writeWords(dir, changed(values))
}

/**
 * What the partition does wrong from now on: rules as in faults.c, e.g. `C_Login=0xA4*1; C_Sign=lat:2000`; '' = nothing.
 * The file is complete before the version changes, so no process reads half a rule.
 */
export async function setLunaFaults(dir: string, rules: string): Promise<void> {
  await replaceFile(`${statePath(dir)}.faults`, rules)
  const fired = Array.from({ length: lengthOf.fired }, (_, index) => [wordOf.fired + index, 0] as const)
  await writeWords(dir, changed(new Map(fired)))
}

/** What the library found in its environment when it last met a rule with the action `environment`, in order. */
export async function readLunaEnvironment(dir: string): Promise<readonly string[]> {
  return (await readFile(`${statePath(dir)}.environment`, 'utf8')).trimEnd().split('\n').sort()
}

/** How often each rule was met since it was set, over all processes; only of rules that end ("*N") are the meetings counted. */
export async function readLunaStrikes(dir: string): Promise<readonly number[]> {
  return (await readWords(dir)).slice(wordOf.fired, wordOf.fired + lengthOf.fired)
}

/**
 * The mechanisms that it has not: they are missing in its list, and a call with one answers CKR_MECHANISM_INVALID.
 * @param withhold up to 32 numbers; [] = all are offered
 */
export async function setLunaMechanisms(dir: string, { withhold }: { withhold: readonly number[] }): Promise<void> {
  await replaceFile(`${statePath(dir)}.withheld`, withhold.map((number) => `0x${number.toString(16)}\n`).join(''))
  await writeWords(dir, changed(new Map()))
}

/** Every PIN that was tried since `logins` was last set to 0, the first 64 of them. */
export async function readLunaLogins(dir: string): Promise<readonly LunaLogins[]> {
  const all = await readWords(dir)
  const rows = Array.from({ length: lengthOf.pins / 4 }, (_, row) => {
    const [low = 0, high = 0, logins = 0, rejections = 0] = all.slice(wordOf.pins + row * 4, wordOf.pins + row * 4 + 4)
    const mac = ((BigInt(high) << 32n) | BigInt(low)).toString(16).padStart(16, '0')
    return { mac, logins, rejections }
  })
  return rows.filter(({ logins, rejections }) => logins + rejections > 0)
}

/** C_Login calls with this PIN since `logins` was last set to 0, whatever the answer. */
export async function loginsWith(dir: string, pin: string): Promise<number> {
  const key = (await readWords(dir)).slice(wordOf.pinKey, wordOf.pinKey + lengthOf.pinKey)
  const mac = pinMac(key, pin)
  return (await readLunaLogins(dir)).find((row) => row.mac === mac)?.logins ?? 0
}

/** A new memory. Only for a partition that no process has open: the library keeps the file mapped. */
export async function makeLunaState(dir: string): Promise<void> {
  await writeFile(statePath(dir), Buffer.alloc(words * 4), { mode: 0o600 })
  const { magic: first, version, pinKey } = wordOf
  const key = Array.from({ length: lengthOf.pinKey }, (_, index) => [pinKey + index, randomWord()] as const)
  await writeWords(dir, new Map([...key, [first, magic], [version, layout]]))
  await setLunaState(dir, freshState)
}

/** The memory of a folder made by an earlier version is shorter: what it has not is as in a new one. */
export async function adoptLunaState(dir: string): Promise<void> {
  if ((await readFile(statePath(dir))).length >= words * 4) return
  const { slot, lockAt, failures, soFailures, initialPin } = await readLunaState(dir)
  await truncate(statePath(dir), words * 4)
  await setLunaState(dir, { ...freshState, slot, lockAt, failures, soFailures, initialPin })
}

/** The version last: who sees it sees the rest. Drawn, not counted, since the library changes it too. */
function changed(values: ReadonlyMap<number, number>): ReadonlyMap<number, number> {
  return new Map([...values, [wordOf.controlVersion, randomWord()]])
}

const randomWord = (): number => randomInt(1, 2 ** 32)

/** A reader sees the old text or the new one, never half of it. */
async function replaceFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 })
  await rename(`${path}.new`, path)
}
