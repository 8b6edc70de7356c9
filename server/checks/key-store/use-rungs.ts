/** The last rungs for every key store: what is offered, real operations with keys of the session, room, and the end. */
import { guidePlaces } from '../../../lib/keystore/guide-places.ts'
import type { RoundTrip, RoundTripName } from '../../../lib/keystore/probe-messages.ts'
import type { Rung } from '../ladder-judge.ts'
import {
  about,
  failureCure,
  failureWords,
  guideFor,
  type SeenKeyStore,
  stoppedHere,
  stoppedIn,
  stoppedWords
} from './seen-key-store.ts'

/** What the KMS lives on; the rest is needed for one choice only (an RSA device CA), and its trip says so. */
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
  'aes-kw': 'AES key wrap',
  'aes-kwp': 'AES key wrap with padding',
  random: 'random numbers',
  sensitive: 'a sensitive key stays in the token'
}

const trips = Object.keys(titles) as RoundTripName[]
const dispensable: ReadonlySet<RoundTripName> = new Set(['rsa-2048', 'aes-kw', 'aes-kwp'])

/** Two keys and a certificate authority or two: about 2 kB each with what a token keeps beside them. */
const leastBytes = 2_048
const fewBytes = 8_192

export const useRungs: readonly Rung<SeenKeyStore>[] = [
  {
    id: 'kms.mechanisms',
    title: 'Mechanisms',
    outcomes: [
      stoppedHere(['mechanisms']),
      { verdict: 'skip', when: ({ facts }) => facts.choice?.found !== true, say: 'Not reached.' },
      {
        verdict: 'fail',
        when: (seen) => missingMechanisms(seen).length > 0,
        say: (seen) => `Mechanism ${missingMechanisms(seen).join(', ')} is not offered.`,
        fix: 'Compare the partition policies (`par showpolicies`) and the firmware with the guide (tested: firmware 7.0.1, appliance 7.0.0-956).',
        guide: guidePlaces.tested
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
      { verdict: 'skip', when: ({ pinGiven }) => !pinGiven, say: 'No password was given.' },
      stoppedHere(trips),
      {
        verdict: 'fail',
        when: (seen) => failedTrips(seen).length > 0 || seen.facts.roundTrips.length === 0,
        say: (seen) =>
          `Did not work: ${failedTrips(seen).map(failedWords(seen)).join('; ') || 'no operation was tried'}.`,
        fix: (seen) => failureCure(seen, failedTrips(seen)[0]?.failure ?? null),
        guide: (seen) => guideFor(failedTrips(seen)[0]?.failure, guidePlaces.tested),
        ckr: (seen) => about(failedTrips(seen)[0]?.failure)
      },
      {
        verdict: 'pass',
        say: ({ facts }) => {
          const done = facts.roundTrips.filter((trip) => trip.ok).map((trip) => titles[trip.name])
          const fips = facts.ivMode === 'token-iv' ? ' The token makes its own IVs: FIPS mode.' : ''
          const rsa = facts.roundTrips.some((trip) => trip.name === 'rsa-2048' && !trip.ok)
            ? ' RSA is not offered: choose an EC key for the device CA.'
            : ''
          return `Worked, with keys that are gone again: ${done.join(', ')}.${fips}${wrapWords(facts.keyWraps)}${rsa}`
        }
      }
    ]
  }
]

export const lastRungs: readonly Rung<SeenKeyStore>[] = [
  {
    id: 'kms.free-space',
    title: 'Free space',
    outcomes: [
      { verdict: 'skip', when: ({ facts }) => facts.choice?.found !== true, say: 'Not reached.' },
      {
        verdict: 'info',
        when: (seen) => freeBytes(seen) === null,
        say: 'The token does not tell how much room it has.'
      },
      {
        verdict: 'fail',
        when: (seen) => (freeBytes(seen) ?? 0) < leastBytes,
        say: (seen) => `The partition is full: ${storageWords(seen)}.`,
        fix: 'Delete objects that are not needed (`par contents` lists them), or let the HSM administrator enlarge the partition.',
        guide: guidePlaces.showInfo
      },
      {
        verdict: 'warn',
        when: (seen) => (freeBytes(seen) ?? 0) < fewBytes,
        say: (seen) => `Little room is left: ${storageWords(seen)}; each tenant adds keys.`,
        fix: 'Let the HSM administrator enlarge the partition.',
        guide: guidePlaces.showInfo
      },
      { verdict: 'pass', say: (seen) => `${storageWords(seen)}.` }
    ]
  },
  {
    id: 'kms.ends',
    title: 'Library ends',
    outcomes: [
      {
        // All that matters was proved before: the process that holds the library is ended by force anyway.
        verdict: 'info',
        when: (seen) => stoppedIn(seen, ['logout', 'finalize']),
        say: (seen) => `${stoppedWords(seen)} KeyScaler ends its process by force then.`
      },
      { verdict: 'skip', when: ({ facts }) => facts.stopped !== null || facts.library === null, say: 'Not reached.' },
      { verdict: 'pass', say: 'The library ended as it should.' }
    ]
  }
]

function missingMechanisms({ facts }: SeenKeyStore): string[] {
  const offered = new Set(facts.mechanisms.map((mechanism) => mechanism.number))
  return needed.filter(([number]) => !offered.has(number)).map(([, name]) => name)
}

function failedTrips({ facts }: SeenKeyStore): readonly RoundTrip[] {
  return facts.roundTrips.filter((trip) => !trip.ok && !dispensable.has(trip.name))
}

const failedWords =
  (seen: SeenKeyStore) =>
  ({ name, failure }: RoundTrip): string =>
    `${titles[name]} (${failure === null ? 'wrong answer' : failureWords(seen, failure)})`

/** " Key wrap: CKM_AES_KEY_WRAP, CKM_AES_KWP (Luna)." */
function wrapWords(wraps: SeenKeyStore['facts']['keyWraps']): string {
  if (wraps.length === 0) return ''
  const names = wraps.map(({ mechanism, knownAnswer }) => `${mechanism}${knownAnswer ? '' : ', compared with itself'}`)
  return ` Key wrap by ${names.join(' and ')}.`
}

function freeBytes({ facts }: SeenKeyStore): number | null {
  return facts.choice?.found === true ? facts.choice.token.memory.free : null
}

function storageWords(seen: SeenKeyStore): string {
  const { choice } = seen.facts
  const total = choice?.found === true ? choice.token.memory.total : null
  return `${freeBytes(seen)} of ${total ?? 'an unknown number of'} bytes are free`
}
