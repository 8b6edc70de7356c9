/** The Crypto Officer: what the token says of the password before one is sent, the one login, and the role it gives. */
import { ckrOf } from '../../../lib/keystore/ckr.ts'
import type { CallFailure } from '../../../lib/keystore/ckr-error.ts'
import { guidePlaces } from '../../../lib/keystore/guide-places.ts'
import { mostFailures } from '../../../lib/keystore/pin-rules.ts'
import type { Rung } from '../ladder-judge.ts'
import {
  about,
  failureCure,
  failureWords,
  guideFor,
  meant,
  type SeenKeyStore,
  stoppedCure,
  stoppedHere,
  stoppedWords
} from './seen-key-store.ts'

const lockWords = `the partition locks after at most ${mostFailures} failures (partition policy 20)`

const locked = ckrOf(0xa4)
const noOfficer = ckrOf(0x102)
const expired = ckrOf(0xa3)
const notOfficer = ckrOf(0x8000001a)

const activation =
  'With PED authentication, activation and auto-activation must be on: `par changepolicy -policy 22 -value 1` and `par changepolicy -policy 23 -value 1`.'

/** A person may send it all the same: the tick for that is where this stands. */
const heldBack: ReadonlySet<string> = new Set(['same-pin-rejected-before', 'interrupted-before', 'too-many'])
const passwordField = ({ config }: SeenKeyStore) => (config.profile === 'nss' ? 'nssPassword' : 'password')
const code =
  ({ code, name }: { readonly code: number; readonly name: string }) =>
  () => ({ code, name })

/** Read from the flags of the token: costs nothing. */
export const pinStateRung: Rung<SeenKeyStore> = {
  id: 'kms.pin-state',
  title: 'Crypto Officer',
  outcomes: [
    {
      verdict: 'fail',
      when: (seen) => meant(seen)?.flags.userPinInitialized === false,
      say: noOfficer.say,
      fix: noOfficer.cure,
      field: 'password',
      guide: guidePlaces.cryptoOfficer,
      ckr: code(noOfficer)
    },
    {
      verdict: 'fail',
      when: (seen) => meant(seen)?.flags.userPinLocked === true,
      say: locked.say,
      fix: locked.cure,
      field: 'password',
      guide: guidePlaces.changePassword,
      ckr: code(locked)
    },
    {
      verdict: 'fail',
      // A password that was confirmed and held back for another reason is told by the login.
      when: (seen) =>
        meant(seen)?.flags.userPinFinalTry === true &&
        seen.facts.login?.sent !== true &&
        (seen.facts.login?.refusal?.reason ?? 'final-try') === 'final-try',
      say: 'One more wrong password would lock the partition, so none was sent.',
      fix: 'Log in once with the right password in lunacm (`role login -name Crypto Officer`): that sets the counter back. Or type the name of the partition to confirm the last try.',
      field: 'confirmLabel',
      guide: guidePlaces.changePassword
    },
    {
      verdict: 'warn',
      when: (seen) => wrongLately(seen) && seen.facts.login?.ok !== true,
      say: ({ facts }) =>
        `The partition has seen a wrong password since the last good one; ${facts.knownFailures} of at most ${mostFailures} failed logins are known here; ${lockWords}.`,
      fix: 'Be sure of the password before you send it.',
      field: 'password',
      guide: guidePlaces.changePassword
    },
    {
      // The login that worked has set the counter back; who else tried is worth knowing all the same.
      verdict: 'info',
      when: wrongLately,
      say: 'The partition had seen a wrong password since the last good one; this login has set its counter back.'
    },
    {
      verdict: 'info',
      when: (seen) => meant(seen)?.flags.userPinToBeChanged === true,
      say: 'The token says that the password must be changed before it is good for anything.',
      guide: guidePlaces.changePassword
    },
    {
      verdict: 'info',
      when: (seen) => meant(seen)?.flags.protectedAuthenticationPath === true,
      say: 'A partition with PED authentication: the password here is its challenge secret.',
      fix: activation,
      guide: guidePlaces.activation
    },
    {
      verdict: 'pass',
      say: ({ facts }) => `${facts.knownFailures} of at most ${mostFailures} failed logins known here; ${lockWords}.`
    }
  ]
}

export const loginRung: Rung<SeenKeyStore> = {
  id: 'kms.login',
  title: 'Login',
  outcomes: [
    // What comes after it may still be asked without a login.
    { verdict: 'skip', when: ({ pinGiven }) => !pinGiven, say: 'No password was given.' },
    { ...stoppedHere(['session', 'login']), field: passwordField },
    {
      verdict: 'fail',
      when: ({ facts }) => facts.login?.refusal != null,
      say: ({ facts }) => `${facts.login?.refusal?.say ?? ''}${counted(facts.login?.refusal?.failures ?? 0)}`,
      fix: ({ facts }) => facts.login?.refusal?.cure ?? '',
      field: (seen) => (heldBack.has(seen.facts.login?.refusal?.reason ?? '') ? 'sendAgain' : passwordField(seen)),
      guide: guidePlaces.changePassword
    },
    {
      verdict: 'fail',
      when: ({ facts }) => facts.login?.failure != null,
      say: (seen) => (seen.facts.login?.failure ? loginWords(seen, seen.facts.login.failure) : ''),
      fix: (seen) => loginCure(seen, seen.facts.login?.failure ?? null),
      field: passwordField,
      guide: ({ facts }) => guideFor(facts.login?.failure, guidePlaces.changePassword),
      ckr: ({ facts }) => about(facts.login?.failure)
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
}

/** A login that was accepted says little: the first operation after it says who has logged in (pkcs11.md section 4). */
export const roleRung: Rung<SeenKeyStore> = {
  id: 'kms.role',
  title: 'Role',
  outcomes: [
    { verdict: 'skip', when: ({ facts }) => facts.login?.ok !== true, say: 'Not reached.' },
    {
      verdict: 'fail',
      when: (seen) => refusedWith(seen, expired.code),
      say: `${expired.say} It is the initial one, good for the first login only (CKR_PIN_EXPIRED).`,
      fix: expired.cure,
      field: 'password',
      guide: guidePlaces.changePassword,
      ckr: code(expired)
    },
    {
      verdict: 'fail',
      when: (seen) => meant(seen)?.flags.writeProtected === true,
      say: 'The token is write-protected: no key can be made in it.',
      fix: ckrOf(0xe2).cure,
      guide: guidePlaces.roles
    },
    {
      verdict: 'fail',
      when: (seen) => refusedWith(seen, notOfficer.code) || seen.facts.canCreateTokenObjects === false,
      say: 'This login may not create keys; it looks like the password of the Crypto User.',
      fix: notOfficer.cure,
      field: 'password',
      guide: guidePlaces.roles,
      ckr: (seen) => (refusedWith(seen, notOfficer.code) ? code(notOfficer)() : undefined)
    },
    { verdict: 'skip', when: ({ facts }) => facts.canCreateTokenObjects === null, say: 'Not reached.' },
    { verdict: 'pass', say: 'The Crypto Officer: this login may create keys.' }
  ]
}

function wrongLately(seen: SeenKeyStore): boolean {
  const flags = meant(seen)?.flags
  return flags?.userPinCountLow === true || flags?.userPinFinalTry === true
}

const refusedWith = ({ facts }: SeenKeyStore, number: number): boolean =>
  facts.roundTrips.some((trip) => trip.failure?.code === number)

function counted(failures: number): string {
  return failures === 0 ? '' : ` ${failures} of at most ${mostFailures} failed logins known here; ${lockWords}.`
}

/** By which a token says that the password is wrong. */
const wrongPassword: ReadonlySet<number> = new Set([0xa0, 0xa1, 0xa2, 0x80000067])

function loginWords(seen: SeenKeyStore, failure: CallFailure): string {
  if (seen.config.profile !== 'nss' && wrongPassword.has(failure.code ?? -1)) {
    return `The password is not correct. Failure ${seen.facts.knownFailures} known here; ${lockWords}.`
  }
  return failureWords(seen, failure)
}

function loginCure(seen: SeenKeyStore, failure: CallFailure | null): string {
  if (seen.config.profile !== 'nss' && wrongPassword.has(failure?.code ?? -1)) {
    return "Enter the Crypto Officer's current password (after role changepw). The same wrong one is not sent again."
  }
  const cure = failureCure(seen, failure)
  return meant(seen)?.flags.protectedAuthenticationPath === true ? `${cure} ${activation}` : cure
}
