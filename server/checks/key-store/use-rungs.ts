/** The last rungs for every key store: one login, what is offered, and real operations with keys of the session. */
import type { CallFailure } from '../../../lib/keystore/ckr-error.ts'
import type { RoundTripName } from '../../../lib/keystore/probe-messages.ts'
import type { Rung } from '../check.ts'
import { lockedCure, lockWords } from './partition-rungs.ts'
import { failureCure, failureWords, type SeenKeyStore, stoppedCure, stoppedIn, stoppedWords } from './seen-key-store.ts'

const passwordField = ({ config }: SeenKeyStore) => (config.profile === 'nss' ? 'nssPassword' : 'password')

/** What the KMS lives on; RSA is needed for an RSA device CA only, and its trip says so. */
const needed = [
  [0x1080, 'CKM_AES_KEY_GEN'],
  [0x1087, 'CKM_AES_GCM'],
  [0x1040, 'CKM_EC_KEY_PAIR_GEN'],
  [0x1041, 'CKM_ECDSA']
] as const

const titles: Readonly<Record<RoundTripName, string>> = {
  'aes-gcm': 'AES-GCM encrypt and decrypt',
  'ec-p256': 'EC P-256 sign and verify',
  'rsa-2048': 'RSA sign and verify',
  random: 'random numbers',
  sensitive: 'a sensitive key stays in the token'
}

const trips = Object.keys(titles) as RoundTripName[]

export const useRungs: readonly Rung<SeenKeyStore>[] = [
  {
    id: 'kms.login',
    title: 'Login',
    outcomes: [
      {
        verdict: 'fail',
        when: (seen) => stoppedIn(seen, ['session', 'login']),
        say: stoppedWords,
        fix: stoppedCure
      },
      {
        verdict: 'fail',
        when: ({ facts }) => facts.login?.refusal != null,
        say: ({ facts }) => `${facts.login?.refusal?.say ?? ''}${counted(facts.login?.refusal?.failures ?? 0)}`,
        fix: ({ facts }) => facts.login?.refusal?.cure ?? '',
        field: passwordField,
        guide: 'Guide: role notes'
      },
      {
        verdict: 'fail',
        when: ({ facts }) => facts.login?.failure != null,
        say: (seen) => (seen.facts.login?.failure ? loginWords(seen, seen.facts.login.failure) : ''),
        fix: (seen) => loginCure(seen, seen.facts.login?.failure ?? null),
        field: passwordField,
        guide: 'Guide: DPoD item 13 and role notes'
      },
      {
        verdict: 'fail',
        when: ({ facts }) => facts.login?.ok !== true,
        say: (seen) => (seen.facts.stopped === null ? 'No login was made.' : stoppedWords(seen)),
        fix: stoppedCure
      },
      {
        verdict: 'pass',
        say: ({ config, facts }) => {
          if (config.profile !== 'nss') return 'Logged in once as Crypto Officer.'
          return facts.folder?.fresh === true
            ? 'The password is taken for a new key store.'
            : 'The password opens the key store.'
        }
      }
    ]
  },
  {
    id: 'kms.mechanisms',
    title: 'Mechanisms',
    outcomes: [
      {
        verdict: 'fail',
        when: (seen) => stoppedIn(seen, ['mechanisms']),
        say: stoppedWords,
        fix: stoppedCure
      },
      {
        verdict: 'fail',
        when: (seen) => missingMechanisms(seen).length > 0,
        say: (seen) => `Mechanism ${missingMechanisms(seen).join(', ')} is not offered.`,
        fix: 'Compare the partition policies and the firmware with the guide (tested: firmware 7.0.1, appliance 7.0.0-956).'
      },
      {
        verdict: 'pass',
        say: ({ facts }) => `${facts.mechanisms.length} mechanisms, all that is needed among them.`
      }
    ]
  },
  {
    id: 'kms.round-trips',
    title: 'Encrypt, sign, random',
    outcomes: [
      {
        verdict: 'fail',
        when: ({ facts }) => facts.roundTrips.some((trip) => trip.failure?.code === 0xa3),
        say: 'The Crypto Officer password has expired: it is the initial one, good for the first login only (CKR_PIN_EXPIRED).',
        fix: 'Run role changepw -name co in lunacm, then enter the new one.',
        field: passwordField,
        guide: 'Guide: DPoD item 13'
      },
      {
        verdict: 'fail',
        when: (seen) => stoppedIn(seen, trips),
        say: stoppedWords,
        fix: stoppedCure
      },
      {
        verdict: 'fail',
        when: ({ facts }) => facts.canCreateTokenObjects === false,
        say: 'This login may not create keys; it looks like the password of the Crypto User.',
        fix: "Enter the Crypto Officer's password.",
        field: passwordField,
        guide: 'Guide: DPoD item 6'
      },
      {
        verdict: 'fail',
        when: (seen) => failedTrips(seen).length > 0 || seen.facts.roundTrips.length === 0,
        say: (seen) => `Did not work: ${failedTrips(seen).join('; ') || 'no operation was tried'}.`,
        fix: (seen) => failureCure(seen, seen.facts.roundTrips.find((trip) => !trip.ok)?.failure ?? null)
      },
      {
        verdict: 'pass',
        say: ({ facts }) => {
          const done = facts.roundTrips.filter((trip) => trip.ok).map((trip) => titles[trip.name])
          const fips = facts.ivMode === 'token-iv' ? ' The token makes its own IVs: FIPS mode.' : ''
          const rsa = facts.roundTrips.some((trip) => trip.name === 'rsa-2048' && !trip.ok)
            ? ' RSA is not offered: choose an EC key for the device CA.'
            : ''
          return `Worked, with keys that are gone again: ${done.join(', ')}.${fips}${rsa}`
        }
      }
    ]
  }
]

function missingMechanisms({ facts }: SeenKeyStore): string[] {
  const offered = new Set(facts.mechanisms.map((mechanism) => mechanism.number))
  return needed.filter(([number]) => !offered.has(number)).map(([, name]) => name)
}

function failedTrips(seen: SeenKeyStore): string[] {
  const failed = seen.facts.roundTrips.filter((trip) => !trip.ok && trip.name !== 'rsa-2048')
  return failed.map(
    ({ name, failure }) => `${titles[name]} (${failure === null ? 'wrong answer' : failureWords(seen, failure)})`
  )
}

function counted(failures: number): string {
  return failures === 0 ? '' : ` ${failures} of at most 10 failed logins known here; ${lockWords}.`
}

function loginWords(seen: SeenKeyStore, failure: CallFailure): string {
  if (seen.config.profile === 'nss') return failureWords(seen, failure)
  switch (failure.code) {
    case 0xa0:
    case 0xa1:
    case 0xa2:
    case 0x80000067:
      return `The password is not correct. Failure ${seen.facts.knownFailures} known here; ${lockWords}.`
    case 0xa4:
    case 0x80000007:
      return 'The Crypto Officer is locked.'
    case 0xa3:
      return 'The Crypto Officer password has expired.'
    case 0x102:
      return 'The Crypto Officer is not initialized (role init -name co).'
    case 0x8000001a:
      return "This looks like the Crypto User's password."
    default:
      return failureWords(seen, failure)
  }
}

function loginCure(seen: SeenKeyStore, failure: CallFailure | null): string {
  if (seen.config.profile === 'nss') return failureCure(seen, failure)
  switch (failure?.code) {
    case 0xa0:
    case 0xa1:
    case 0xa2:
    case 0x80000067:
      return "Enter the Crypto Officer's current password (after role changepw). The same wrong one is not sent again."
    case 0xa4:
    case 0x80000007:
      return lockedCure()
    case 0xa3:
      return 'Run role changepw -name co in lunacm, then enter the new one.'
    case 0x8000001a:
      return "Enter the Crypto Officer's."
    default:
      return failureCure(seen, failure)
  }
}
