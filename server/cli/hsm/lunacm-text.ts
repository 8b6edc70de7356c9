/**
 * Partitions as lunacm prints them, so that an administrator with the guide in hand sees what is shown there (DPoD,
 * items 5, 9, 14 and 15), and so that what we print can be pasted where lunacm's text can. What a program without a login
 * cannot see is said to be so; nothing is made up.
 */
import { type HaGroup, haGroupOf } from '../../../lib/keystore/ha-groups.ts'
import { flagNames, type SlotFacts } from '../../../lib/keystore/token-facts.ts'

const indent = ' '.repeat(8)

/** `slot list`. @param groups HA groups of the client: their virtual slots are marked as lunacm marks them */
export function slotListText(slots: readonly SlotFacts[], groups: readonly HaGroup[] = []): string {
  if (slots.length === 0) return `${indent}No partitions are listed.\n`
  return slots
    .map((token) => {
      const { slot, label, serial, model, firmware } = token
      const values: (readonly [string, string])[] = [
        ['Slot Id', String(slot)],
        ['Label', label],
        ['Serial Number', serial],
        ['Model', model],
        ['Firmware Version', firmware]
      ]
      const isGroup = haGroupOf(token, groups) !== null
      return rows(24, isGroup ? [...values, ['HSM Status', 'N/A - HA Group']] : values)
    })
    .join('\n')
}

/** `partition showinfo`. @param fips null: not known without a login */
export function showInfoText(token: SlotFacts, fips: boolean | null): string {
  const { total, free } = token.memory
  const size = (bytes: number | null) => (bytes === null ? 'not told by the token' : String(bytes))
  const used = total === null || free === null ? null : total - free
  return [
    rows(32, [
      ['Partition Label', token.label],
      ['Partition Manufacturer', token.manufacturer],
      ['Partition Model', token.model],
      ['Partition Serial Number', token.serial]
    ]),
    `${indent}Token Flags ->\n`,
    ...flagNames(token.flags).map((name) => `${indent.repeat(3)}CKF_${name}\n`),
    rows(32, [
      ['Slot Id', String(token.slot)],
      ['Firmware Version', token.firmware]
    ]),
    `\n${indent}Partition Storage:\n`,
    `${indent.repeat(2)}Total Storage Space:  ${size(total)}\n`,
    `${indent.repeat(2)}Used Storage Space:   ${size(used)}\n`,
    `${indent.repeat(2)}Free Storage Space:   ${size(free)}\n`,
    `${indent.repeat(2)}Object Count:         not visible without a login\n`,
    `\n${indent}${fipsLine(fips)}\n`
  ].join('')
}

function fipsLine(fips: boolean | null): string {
  if (fips === null) return 'FIPS mode: not visible without a login; `keyscaler hsm check` finds it out.'
  return `*** The partition is ${fips ? '' : 'NOT '}in FIPS 140-2 approved operation mode. ***`
}

function rows(width: number, values: readonly (readonly [string, string])[]): string {
  return values
    .map(([name, value]) => `${indent}${`${name} ->`.padEnd(width)}${value}`.trimEnd())
    .join('\n')
    .concat('\n')
}
