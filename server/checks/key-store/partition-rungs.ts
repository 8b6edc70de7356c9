/** Slot, token and label of an HSM partition: all of it is known before a login is spent. */
import { guidePlaces } from '../../../lib/keystore/guide-places.ts'
import { haGroupOf } from '../../../lib/keystore/ha-groups.ts'
import type { SlotFacts } from '../../../lib/keystore/token-facts.ts'
import type { Offer } from '../check.ts'
import type { Rung } from '../ladder-judge.ts'
import {
  about,
  failureCure,
  failureWords,
  inSlot,
  labelled,
  meant,
  type SeenKeyStore,
  stoppedHere,
  wanted
} from './seen-key-store.ts'

const tokenNotPresent = { code: 0xe0, name: 'CKR_TOKEN_NOT_PRESENT' } as const

/** The only token with the label that was typed. */
const labelledAlone = (seen: SeenKeyStore): SlotFacts | undefined =>
  labelled(seen).length === 1 ? labelled(seen)[0] : undefined

const useSlot = (token: SlotFacts | undefined): Offer | undefined =>
  token && { label: `Use slot ${token.slot}`, values: { slot: String(token.slot) } }

/** The typed slot, when the client lists it and no token can be used in it. */
const unusable = (seen: SeenKeyStore) => seen.facts.unusableSlots.find(({ slot }) => slot === wanted(seen).slot)

const several = (seen: SeenKeyStore): string =>
  labelled(seen)
    .map(({ slot, serial }) => `slot ${slot} (serial ${serial})`)
    .join(', ')

/** The serial that is known to be ours is nowhere: identity-rungs.ts says it. */
const isLost = ({ facts, record, config }: SeenKeyStore): boolean =>
  facts.choice?.found === false &&
  facts.choice.why === 'serial-absent' &&
  config.profile !== 'nss' &&
  config.serial === record?.serial

export const partitionRungs: readonly Rung<SeenKeyStore>[] = [
  {
    id: 'kms.slot-present',
    title: 'Slot',
    outcomes: [
      { ...stoppedHere(['slots']), field: 'slot' },
      {
        verdict: 'fail',
        when: ({ facts }) => facts.slots.length === 0 && facts.unusableSlots.length === 0,
        say: 'The HSM client shows no partition.',
        fix: 'Register this client at the appliance and assign the partition; `vtl verify` must show it.',
        field: 'slot',
        guide: guidePlaces.registration
      },
      {
        verdict: 'info',
        when: (seen) => meant(seen) !== undefined && meant(seen)?.slot !== wanted(seen).slot,
        say: (seen) =>
          `The partition with serial ${meant(seen)?.serial} is in slot ${meant(seen)?.slot} now, not ${wanted(seen).slot}: slot numbers move, the serial is what counts.`,
        field: 'slot',
        guide: guidePlaces.slotList,
        offer: (seen) => useSlot(meant(seen))
      },
      {
        verdict: 'fail',
        when: (seen) => inSlot(seen) === undefined && labelledAlone(seen) !== undefined,
        say: (seen) =>
          `Slot ${wanted(seen).slot} was not found; ${wanted(seen).partition} is in slot ${labelledAlone(seen)?.slot}.`,
        fix: (seen) => `Enter slot ${labelledAlone(seen)?.slot}.`,
        field: 'slot',
        guide: guidePlaces.slotList,
        offer: (seen) => useSlot(labelledAlone(seen))
      },
      {
        verdict: 'pass',
        when: (seen) => unusable(seen) !== undefined,
        say: (seen) => `Slot ${wanted(seen).slot} is listed.`
      },
      {
        verdict: 'fail',
        when: (seen) => inSlot(seen) === undefined && labelled(seen).length > 1,
        say: (seen) =>
          `Slot ${wanted(seen).slot} was not found, and ${labelled(seen).length} partitions are called ${wanted(seen).partition}: ${several(seen)}.`,
        fix: 'Enter the slot of the one that you mean, or its serial number.',
        field: 'slot',
        guide: guidePlaces.label
      },
      {
        verdict: 'fail',
        when: (seen) => inSlot(seen) === undefined,
        say: (seen) => `Slot ${wanted(seen).slot} was not found. Available: ${available(seen)}.`,
        fix: 'Enter the slot and the partition name that lunacm shows (slot list).',
        field: 'slot',
        guide: guidePlaces.slotList
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
    id: 'kms.token-present',
    title: 'Token present',
    outcomes: [
      {
        verdict: 'fail',
        when: (seen) => meant(seen) === undefined && unusable(seen)?.failure === null,
        say: (seen) => `Slot ${wanted(seen).slot} is listed, and there is no token in it: the HSM cannot be reached.`,
        fix: 'Check network, appliance and client: run `vtl verify` on this host.',
        field: 'slot',
        guide: guidePlaces.registration,
        ckr: () => tokenNotPresent
      },
      {
        verdict: 'fail',
        when: (seen) => meant(seen) === undefined,
        say: (seen) => {
          const failure = unusable(seen)?.failure
          return `The token in slot ${wanted(seen).slot} does not answer: ${failure ? failureWords(seen, failure) : 'no reason was given'}`
        },
        fix: (seen) => failureCure(seen, unusable(seen)?.failure ?? null),
        field: 'slot',
        guide: guidePlaces.registration,
        ckr: (seen) => about(unusable(seen)?.failure)
      },
      { verdict: 'pass', say: (seen) => `${meant(seen)?.manufacturer || 'The token'} answers.` }
    ]
  },
  {
    id: 'kms.token-initialised',
    title: 'Partition initialised',
    outcomes: [
      {
        verdict: 'fail',
        when: (seen) => meant(seen)?.flags.tokenInitialized === false && labelledAlone(seen) !== undefined,
        say: (seen) =>
          `The partition in slot ${wanted(seen).slot} is not initialised; ${wanted(seen).partition} is in slot ${labelledAlone(seen)?.slot}.`,
        fix: (seen) => `Enter slot ${labelledAlone(seen)?.slot}.`,
        field: 'slot',
        guide: guidePlaces.label,
        offer: (seen) => useSlot(labelledAlone(seen))
      },
      {
        verdict: 'fail',
        when: (seen) => meant(seen)?.flags.tokenInitialized === false,
        say: (seen) => `The partition in slot ${wanted(seen).slot} is not initialised.`,
        fix: (seen) =>
          `In lunacm: \`slot set -slot ${wanted(seen).slot}\`, then \`par init -label ${wanted(seen).partition}\`. It destroys what is in the partition.`,
        field: 'slot',
        guide: guidePlaces.initialise
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
        when: ({ facts, record }) =>
          facts.choice?.found === false && facts.choice.why === 'serial-absent' && record === null,
        say: (seen) => `No partition has the serial number ${wanted(seen).serial}. Available: ${available(seen)}.`,
        fix: (seen) =>
          `Enter ${inSlot(seen)?.serial}, the serial number of the partition in slot ${wanted(seen).slot}, or leave it empty.`,
        field: 'serial',
        guide: guidePlaces.showInfo,
        offer: (seen) => {
          const serial = inSlot(seen)?.serial
          return serial === undefined ? undefined : { label: `Use serial ${serial}`, values: { serial } }
        }
      },
      {
        verdict: 'fail',
        when: (seen) => !labelAgrees(seen) && labelled(seen).length > 1,
        say: (seen) =>
          `Slot ${wanted(seen).slot} holds "${meant(seen)?.label}", and ${labelled(seen).length} partitions are called ${wanted(seen).partition}: ${several(seen)}.`,
        fix: 'Enter the slot of the one that you mean, or its serial number.',
        field: 'slot',
        guide: guidePlaces.label
      },
      {
        verdict: 'fail',
        when: (seen) => !labelAgrees(seen) && labelledAlone(seen) !== undefined,
        say: (seen) =>
          `Slot ${wanted(seen).slot} holds "${meant(seen)?.label}", not "${wanted(seen).partition}", which is in slot ${labelledAlone(seen)?.slot}.`,
        fix: (seen) =>
          `Enter slot ${labelledAlone(seen)?.slot}, or the name of the partition in slot ${wanted(seen).slot}.`,
        field: 'slot',
        guide: guidePlaces.label,
        offer: (seen) => useSlot(labelledAlone(seen))
      },
      {
        verdict: 'fail',
        when: (seen) => !labelAgrees(seen),
        say: (seen) => `Slot ${meant(seen)?.slot} holds "${meant(seen)?.label}", not "${wanted(seen).partition}".`,
        fix: 'Enter the name of this partition, or the slot of the one that you mean.',
        field: 'partition',
        guide: guidePlaces.label,
        offer: (seen) => {
          const label = meant(seen)?.label
          return label ? { label: `Use ${label}`, values: { partition: label } } : undefined
        }
      },
      {
        // Nobody but the typed slot tells them apart, and slot numbers move; with a known serial it is clear.
        verdict: 'warn',
        when: (seen) => labelled(seen).length > 1 && wanted(seen).serial === undefined,
        say: (seen) =>
          `${labelled(seen).length} partitions are called ${wanted(seen).partition}: ${several(seen)}. The one in slot ${meant(seen)?.slot} is taken, and known by its serial ${meant(seen)?.serial} from now on.`,
        fix: 'Confirm it by its serial number; or let the other one be given another name.',
        field: 'slot',
        guide: guidePlaces.label,
        offer: (seen) => {
          const serial = meant(seen)?.serial
          return serial === undefined ? undefined : { label: `Use serial ${serial}`, values: { serial } }
        }
      },
      { verdict: 'pass', say: (seen) => `Slot ${meant(seen)?.slot} holds ${wanted(seen).partition}.` }
    ]
  },
  {
    id: 'kms.ha-group',
    title: 'HA group',
    independent: true,
    outcomes: [
      { verdict: 'skip', when: (seen) => meant(seen) === undefined || isLost(seen), say: 'Not reached.' },
      {
        verdict: 'info',
        when: (seen) => groupOf(seen) !== null,
        say: (seen) => {
          const group = groupOf(seen)
          const members = group?.members.length ? `, members ${group.members.join(' and ')}` : ''
          return `This is the virtual slot of the HA group "${group?.label}" (serial ${group?.serial}${members}): the client spreads the calls over its members and copies keys to all of them. Its slot number changes when a member fails, unless HAOnly is set; its serial does not.`
        },
        guide: guidePlaces.registration
      },
      {
        verdict: 'warn',
        when: (seen) => memberOf(seen) !== null,
        say: (seen) =>
          `This partition is a member of the HA group "${memberOf(seen)?.label}" (serial ${memberOf(seen)?.serial}): keys that are made in it alone are not copied to the other members.`,
        fix: (seen) =>
          `Choose the group ${memberOf(seen)?.label} itself, or set HAOnly in Chrystoki.conf (\`hagroup haonly -enable\`).`,
        field: 'partition',
        guide: guidePlaces.registration,
        offer: (seen) => {
          const group = seen.facts.slots.find(({ serial }) => serial === memberOf(seen)?.serial)
          return group && { label: `Use ${group.label}`, values: { slot: String(group.slot), partition: group.label } }
        }
      },
      { verdict: 'pass', say: 'A partition of its own, in no HA group of this client.' }
    ]
  }
]

function groupOf(seen: SeenKeyStore) {
  const token = meant(seen)
  return token === undefined ? null : haGroupOf(token, seen.facts.haGroups)
}

function memberOf(seen: SeenKeyStore) {
  const serial = meant(seen)?.serial
  return seen.facts.haGroups.find(({ members }) => serial !== undefined && members.includes(serial)) ?? null
}

function labelAgrees(seen: SeenKeyStore): boolean {
  return isLost(seen) || meant(seen)?.label === wanted(seen).partition
}

function available({ facts }: SeenKeyStore): string {
  return facts.slots.map((token) => `${token.slot} – ${token.label || 'not initialised'}`).join(', ')
}
