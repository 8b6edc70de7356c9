/** Slot, token, label and PIN state of an HSM partition: all of it is known before a login is spent. */
import type { SlotFacts } from '../../../lib/keystore/token-facts.ts'
import type { Offer, Rung } from '../check.ts'
import { type SeenKeyStore, stoppedCure, stoppedIn, stoppedWords } from './seen-key-store.ts'

export const lockWords = 'the partition locks after at most 10 failures (partition policy 20)'

const wanted = ({ config }: SeenKeyStore) =>
  config.profile === 'nss' ? { slot: -1, partition: '' } : { slot: config.slot, partition: config.partition }

/** The token in the slot that was typed. */
const inSlot = (seen: SeenKeyStore): SlotFacts | undefined =>
  seen.facts.slots.find((token) => token.slot === wanted(seen).slot)

/** The only token with the label that was typed. */
function labelled(seen: SeenKeyStore): SlotFacts | undefined {
  const found = seen.facts.slots.filter((token) => token.label === wanted(seen).partition.trimEnd())
  return found.length === 1 ? found[0] : undefined
}

const useSlot = (token: SlotFacts | undefined): Offer | undefined =>
  token && { label: `Use slot ${token.slot}`, values: { slot: String(token.slot) } }

export const partitionRungs: readonly Rung<SeenKeyStore>[] = [
  {
    id: 'kms.slot-present',
    title: 'Slot',
    outcomes: [
      {
        verdict: 'fail',
        when: (seen) => stoppedIn(seen, ['slots']),
        say: stoppedWords,
        fix: stoppedCure,
        field: 'slot'
      },
      {
        verdict: 'fail',
        when: ({ facts }) => facts.slots.length === 0,
        say: 'The HSM client shows no partition.',
        fix: 'Register this client at the appliance and assign the partition; `vtl verify` must show it.',
        field: 'slot',
        guide: 'Guide: HSM prerequisites, vtl verify'
      },
      {
        verdict: 'fail',
        when: (seen) => inSlot(seen) === undefined && labelled(seen) !== undefined,
        say: (seen) =>
          `Slot ${wanted(seen).slot} was not found; ${wanted(seen).partition} is in slot ${labelled(seen)?.slot}.`,
        fix: (seen) => `Enter slot ${labelled(seen)?.slot}.`,
        field: 'slot',
        guide: 'Guide: DPoD item 5',
        offer: (seen) => useSlot(labelled(seen))
      },
      {
        verdict: 'fail',
        when: (seen) => inSlot(seen) === undefined,
        say: (seen) => `Slot ${wanted(seen).slot} was not found. Available: ${available(seen)}.`,
        fix: 'Enter the slot and the partition name that lunacm shows (slot list).',
        field: 'slot',
        guide: 'Guide: DPoD item 5'
      },
      {
        verdict: 'pass',
        say: (seen) => {
          const token = inSlot(seen)
          return `Slot ${token?.slot}: serial ${token?.serial}, ${token?.model}, firmware ${token?.firmware}`
        }
      }
    ]
  },
  {
    id: 'kms.token-initialised',
    title: 'Partition initialised',
    outcomes: [
      {
        verdict: 'fail',
        when: (seen) => inSlot(seen)?.flags.tokenInitialized === false && labelled(seen) !== undefined,
        say: (seen) =>
          `The partition in slot ${wanted(seen).slot} is not initialised; ${wanted(seen).partition} is in slot ${labelled(seen)?.slot}.`,
        fix: (seen) => `Enter slot ${labelled(seen)?.slot}.`,
        field: 'slot',
        offer: (seen) => useSlot(labelled(seen))
      },
      {
        verdict: 'fail',
        when: (seen) => inSlot(seen)?.flags.tokenInitialized === false,
        say: (seen) => `The partition in slot ${wanted(seen).slot} is not initialised.`,
        fix: (seen) =>
          `In lunacm: slot set -slot ${wanted(seen).slot}, then partition init -label ${wanted(seen).partition}. It destroys what is in the partition.`,
        field: 'slot',
        guide: 'Guide: DPoD items 7 and 8'
      },
      { verdict: 'pass', say: 'The partition is initialised.' }
    ]
  },
  {
    id: 'kms.partition-label',
    title: 'Partition name',
    outcomes: [
      {
        verdict: 'fail',
        when: (seen) => !labelAgrees(seen) && labelled(seen) !== undefined,
        say: (seen) =>
          `Slot ${wanted(seen).slot} holds "${inSlot(seen)?.label}", not "${wanted(seen).partition}", which is in slot ${labelled(seen)?.slot}.`,
        fix: (seen) => `Enter slot ${labelled(seen)?.slot}, or the name of the partition in slot ${wanted(seen).slot}.`,
        field: 'slot',
        guide: 'Guide: DPoD items 9 and 14',
        offer: (seen) => useSlot(labelled(seen))
      },
      {
        verdict: 'fail',
        when: (seen) => !labelAgrees(seen),
        say: (seen) => `Slot ${wanted(seen).slot} holds "${inSlot(seen)?.label}", not "${wanted(seen).partition}".`,
        fix: 'Enter the name of this partition, or the slot of the one that you mean.',
        field: 'partition',
        guide: 'Guide: DPoD items 9 and 14',
        offer: (seen) => {
          const label = inSlot(seen)?.label
          return label ? { label: `Use ${label}`, values: { partition: label } } : undefined
        }
      },
      { verdict: 'pass', say: (seen) => `Slot ${wanted(seen).slot} holds ${wanted(seen).partition}.` }
    ]
  },
  {
    id: 'kms.pin-state',
    title: 'Crypto Officer',
    outcomes: [
      {
        verdict: 'fail',
        when: (seen) => inSlot(seen)?.flags.userPinInitialized === false,
        say: 'The Crypto Officer is not initialized.',
        fix: 'In lunacm, as Partition SO: role init -name co; then role login -name co and role changepw -name co.',
        field: 'password',
        guide: 'Guide: DPoD items 10 to 13'
      },
      {
        verdict: 'fail',
        when: (seen) => inSlot(seen)?.flags.userPinLocked === true,
        say: 'The Crypto Officer is locked.',
        fix: lockedCure(),
        field: 'password',
        guide: 'Guide: role notes'
      },
      {
        verdict: 'fail',
        when: (seen) => inSlot(seen)?.flags.userPinFinalTry === true && seen.facts.login?.sent !== true,
        say: 'One more wrong password would lock the partition, so none was sent.',
        fix: 'Log in once with the right password in lunacm (role login -name co): that sets the counter back. Or type the name of the partition to confirm the last try.',
        field: 'password',
        guide: 'Guide: role notes'
      },
      {
        verdict: 'warn',
        when: (seen) => inSlot(seen)?.flags.userPinCountLow === true && seen.facts.login?.ok !== true,
        say: ({ facts }) =>
          `The partition has seen a wrong password since the last good one; ${facts.knownFailures} of at most 10 failed logins are known here; ${lockWords}.`,
        fix: 'Be sure of the password before you send it.',
        field: 'password'
      },
      {
        // The login that worked has set the counter back; who else tried is worth knowing all the same.
        verdict: 'info',
        when: (seen) => inSlot(seen)?.flags.userPinCountLow === true,
        say: 'The partition had seen a wrong password since the last good one; this login has set its counter back.'
      },
      {
        verdict: 'pass',
        say: ({ facts }) => `${facts.knownFailures} of at most 10 failed logins known here; ${lockWords}.`
      }
    ]
  }
]

/** Policy 15 is off by default, and turning it on destroys the partition (domain.md A2). */
export function lockedCure(): string {
  return 'role resetpw -name co by the Partition SO, only if HSM policy 15 was on before (default off); otherwise re-initialise and restore from backup.'
}

function labelAgrees(seen: SeenKeyStore): boolean {
  return inSlot(seen)?.label === wanted(seen).partition.trimEnd()
}

function available({ facts }: SeenKeyStore): string {
  return facts.slots.map((token) => `${token.slot} – ${token.label || 'not initialised'}`).join(', ')
}
