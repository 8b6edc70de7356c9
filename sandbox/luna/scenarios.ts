/** Bad days to choose from: what a partition or its network may do to an administrator, each by one name. */
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freshState, type LunaState, readLunaState, setLunaFaults, setLunaMechanisms, setLunaState } from './state.ts'

export interface LunaScenario {
  /** What is wrong, for a person. */
  readonly title: string
  /** @param dir the folder given to createLunaToken */
  readonly set: (dir: string) => Promise<void>
}

interface BadDay {
  readonly state?: Partial<LunaState>
  readonly faults?: string
  readonly withhold?: readonly number[]
}

const creating = ['C_GenerateKey', 'C_GenerateKeyPair', 'C_CreateObject', 'C_CopyObject', 'C_UnwrapKey']
const onCreation = (code: string): string => creating.map((name) => `${name}=${code}`).join(';')
const aesGcm = 0x1087

const days = {
  well: ['nothing is wrong', {}],
  locked: ['the Crypto Officer is locked after ten wrong passwords', { state: { failures: freshState.lockAt } }],
  'final-try': ['one more wrong password locks the Crypto Officer', { state: { failures: freshState.lockAt - 1 } }],
  'count-low': ['a wrong password was entered lately', { state: { failures: 1 } }],
  expired: ['the password is the initial one and must be changed first', { state: { initialPin: true } }],
  'moved-slot': ['the partition is in slot 7 now', { state: { slot: 7 } }],
  'wrong-label': ['the partition is called "production", not HSMoDnFIPS', { state: { label: 'production' } }],
  swapped: ['another token with the same label is in the slot', { state: { swapped: true } }],
  hang: ['C_Login never answers', { faults: 'C_Login=hang' }],
  'hang-slots': ['C_GetSlotList never answers', { faults: 'C_GetSlotList=hang' }],
  crash: ['the library crashes in C_Login', { faults: 'C_Login=crash' }],
  print: ['the library prints on stdout at every call', { faults: '*=print' }],
  slow: ['every call takes 5 ms more', { faults: '*=lat:5000' }],
  fips: [
    'a FIPS partition: its own IV, the vendor numbers of key wrap and RSA generation',
    { state: { gcm: 'token-iv', vendorWrap: true, vendorRsa: true, refusePrivateWrap: true } }
  ],
  full: ['the partition is full', { state: { freeBytes: 0 }, faults: onCreation('0x31') }],
  'few-sessions': ['three sessions, and no more', { state: { maxSessions: 3 } }],
  lost: ['the token is gone', { state: { present: false } }],
  'crypto-user': ['the role may not create: it looks like the Crypto User', { faults: onCreation('0x8000001a') }],
  'not-initialised': ['the partition was never initialised', { state: { initialised: false } }],
  'no-crypto-officer': ['the Crypto Officer was never initialised', { state: { cryptoOfficer: false } }],
  'no-mechanism': ['AES-GCM is not offered', { withhold: [aesGcm] }],
  'duplicate-label': ['two partitions have the same label', { state: { slots: 2, others: 'same-label' } }],
  'ha-group': ['two members, and their HA group as a virtual slot', { state: { slots: 3, others: 'ha-group' } }]
} as const satisfies Record<string, readonly [string, BadDay]>

/** Each starts from a partition without moods; its password and the count of logins stay. */
export const lunaScenarios: Readonly<Record<string, LunaScenario>> = Object.fromEntries(
  Object.entries<readonly [string, BadDay]>(days).map(([name, [title, day]]) => [
    name,
    { title, set: (dir: string) => setDay(dir, day) }
  ])
)

/**
 * Sets the scenario for a start of the sandbox and remembers it, so that the next start without one ends it.
 * @param name one of lunaScenarios; undefined: none
 */
export async function chooseScenario(dir: string, name: string | undefined): Promise<void> {
  const chosen = join(dir, 'scenario')
  if (name === undefined && !existsSync(chosen)) return
  await lunaScenarios[name ?? 'well']?.set(dir)
  if (name === undefined) await rm(chosen)
  else await writeFile(chosen, name, { mode: 0o600 })
}

async function setDay(dir: string, { state = {}, faults = '', withhold = [] }: BadDay): Promise<void> {
  const { logins, rejections, soLogins } = await readLunaState(dir)
  await setLunaMechanisms(dir, { withhold })
  await setLunaFaults(dir, faults)
  await setLunaState(dir, { ...freshState, logins, rejections, soLogins, ...state })
}
