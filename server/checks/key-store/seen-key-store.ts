/** What the rungs of the key store's ladder are judged from, and words for a library that did not come to its end. */
import { ckrOf } from '../../../lib/keystore/ckr.ts'
import type { CallFailure } from '../../../lib/keystore/ckr-error.ts'
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import type { ProbeStep } from '../../../lib/keystore/probe-messages.ts'
import { ckrWords } from '../../../lib/keystore/profiles/profile.ts'
import { profileOf } from '../../../lib/keystore/profiles/registry.ts'
import type { ProofFacts } from '../../../lib/keystore/prove-token.ts'
import type { SlotFacts } from '../../../lib/keystore/token-facts.ts'
import type { Finding } from '../check.ts'
import type { KeyStoreRecord } from './key-store-record.ts'

export interface SeenKeyStore {
  readonly facts: ProofFacts
  /** What the probe is doing while it is judged; null: it is over. */
  readonly step: ProbeStep | null
  readonly config: KeyStoreConfig
  /** A password was given, so the rungs from the login on are about something. */
  readonly pinGiven: boolean
  /** The key store that this install has already; null: none, or none that must stay. */
  readonly record: KeyStoreRecord | null
  /** The user that the KMS will run as; null: the one that asks. */
  readonly runAs: number | null
}

/** What is being done, for "crashed while …", and the call that is waited for. */
const doing: Readonly<Record<ProbeStep, readonly [words: string, call: string]>> = {
  file: ['its file was looked at', 'the file'],
  turn: ['waiting for its turn', 'another check of this library'],
  load: ['being loaded', 'dlopen'],
  initialize: ['starting', 'C_Initialize'],
  slots: ['listing slots', 'C_GetSlotList'],
  mechanisms: ['listing mechanisms', 'C_GetMechanismList'],
  session: ['opening a session', 'C_OpenSession'],
  login: ['logging in', 'C_Login'],
  'aes-gcm': ['encrypting and decrypting', 'C_Encrypt'],
  'aes-kw': ['wrapping a key', 'C_WrapKey'],
  'aes-kwp': ['wrapping a key with padding', 'C_WrapKey'],
  'ec-p256': ['signing with EC P-256', 'C_Sign'],
  'rsa-2048': ['signing with RSA', 'C_Sign'],
  random: ['making random numbers', 'C_GenerateRandom'],
  sensitive: ['trying to read a sensitive key', 'C_GetAttributeValue'],
  'master-key': ['looking for the master key', 'C_FindObjects'],
  logout: ['logging out', 'C_Logout'],
  finalize: ['ending', 'C_Finalize']
}

/** "C_Login (logging in)": told while it is waited for. */
export function waitingFor(step: ProbeStep): string {
  const [words, call] = doing[step]
  return `${call} (${words})`
}

/** True when the probe came to its end in one of these steps. */
export function stoppedIn({ facts }: SeenKeyStore, steps: readonly ProbeStep[]): boolean {
  return facts.stopped !== null && steps.includes(facts.stopped.step)
}

/** "The PKCS#11 library crashed while logging in." */
export function stoppedWords(seen: SeenKeyStore): string {
  const { stopped } = seen.facts
  if (stopped === null) return 'The PKCS#11 library was not asked.'
  const [words, call] = doing[stopped.step]
  switch (stopped.why) {
    case 'crashed':
      return `The PKCS#11 library crashed while ${words} (${call}, ${stopped.signal}).`
    case 'exited':
      return `The PKCS#11 library ended the process while ${words} (${call}).`
    case 'hung':
      return `The PKCS#11 library did not answer within ${stopped.ms / 1000} s while ${words} (${call}).`
    case 'aborted':
      return `The check was stopped while ${words} (${call}).`
    case 'refused':
      return failureWords(seen, stopped.failure)
  }
}

/** The return code in plain words, or the loader's own. */
export function failureWords({ config }: SeenKeyStore, failure: CallFailure): string {
  if (failure.code === null) return failure.message
  return `${ckrWords(profileOf(config), failure.code).say} (${failure.ckr} from ${failure.call})`
}

export function failureCure({ config }: SeenKeyStore, failure: CallFailure | null): string {
  if (failure === null || failure.code === null)
    return 'Check the library and its configuration; `vtl verify` must work.'
  return ckrWords(profileOf(config), failure.code).cure
}

export function stoppedCure(seen: SeenKeyStore): string {
  const { stopped } = seen.facts
  if (stopped?.why === 'refused') return failureCure(seen, stopped.failure)
  return seen.config.profile === 'nss'
    ? 'Install the libnss3 of your distribution, or give the path of another libsoftokn3.so.'
    : 'Run `vtl verify` on this machine: it must show the partition. If it does, use the library that belongs to that client.'
}

/** The code and its place in the guide, of a call that was refused. */
export function about(failure: CallFailure | null | undefined): Finding['ckr'] | undefined {
  return failure?.code == null ? undefined : { code: failure.code, name: ckrOf(failure.code).name }
}

export function guideFor(failure: CallFailure | null | undefined, otherwise?: string): string | undefined {
  return (failure?.code == null ? null : ckrOf(failure.code).guide) ?? otherwise
}

/** The call that was refused when the probe stopped. */
function stoppedFailure({ facts }: SeenKeyStore): CallFailure | null {
  return facts.stopped?.why === 'refused' ? facts.stopped.failure : null
}

/** A rung whose step the probe stopped in: what happened, and what to do. */
export const stoppedHere = (steps: readonly ProbeStep[]) =>
  ({
    verdict: 'fail',
    when: (seen: SeenKeyStore) => stoppedIn(seen, steps),
    say: stoppedWords,
    fix: stoppedCure,
    guide: (seen: SeenKeyStore) => guideFor(stoppedFailure(seen)),
    ckr: (seen: SeenKeyStore) => about(stoppedFailure(seen))
  }) as const

/** What was asked for; of NSS there is only one token. */
export const wanted = ({ config }: SeenKeyStore) =>
  config.profile === 'nss'
    ? { slot: -1, partition: '', serial: undefined }
    : { slot: config.slot, partition: config.partition.trimEnd(), serial: config.serial }

/** The token in the slot that was typed. */
export const inSlot = (seen: SeenKeyStore): SlotFacts | undefined =>
  seen.facts.slots.find((token) => token.slot === wanted(seen).slot)

/** The token that this is about: the one with the known serial wherever it is, else the one in the typed slot. */
export function meant(seen: SeenKeyStore): SlotFacts | undefined {
  const { choice } = seen.facts
  return choice?.found === true && choice.by === 'serial' ? choice.token : inSlot(seen)
}

/** All tokens with the label that was typed. */
export const labelled = (seen: SeenKeyStore): readonly SlotFacts[] =>
  seen.facts.slots.filter((token) => token.label === wanted(seen).partition)
