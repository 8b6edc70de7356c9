import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type SlotFacts, tokenFlags } from '../../../lib/keystore/token-facts.ts'
import { readLunacm } from '../../../lib/luna-client/read-lunacm.ts'
import { showInfoText, slotListText } from './lunacm-text.ts'
import { redact } from './report.ts'

const token: SlotFacts = {
  slot: 3,
  label: 'HSMoDnFIPS',
  serial: '1285296213941',
  manufacturer: 'Safenet, Inc.',
  model: 'Cryptovisor7',
  firmware: '7.1',
  flags: tokenFlags(0x1 | 0x4 | 0x8 | 0x20 | 0x400),
  memory: { total: 159744, free: 159744 },
  maxSessions: null
}
const same = { slot: 3, label: 'HSMoDnFIPS', serial: '1285296213941', model: 'Cryptovisor7', firmware: '7.1' }

describe('partitions printed as lunacm prints them', () => {
  it('can be pasted where lunacm’s slot list can', () => {
    const other = { ...token, slot: 5, label: '', serial: '1285296213942' }
    const facts = readLunacm(slotListText([token, other]))
    assert.equal(facts?.kind, 'slot-list')
    assert.partialDeepStrictEqual(facts?.partitions, [same, { slot: 5, label: '', serial: '1285296213942' }])
  })

  it('say which one is the virtual slot of an HA group', () => {
    const group = { label: 'group', serial: '11285296213941', members: [token.serial] }
    const virtual = { ...token, slot: 5, label: group.label, serial: group.serial }
    const facts = readLunacm(slotListText([token, virtual], [group]))
    assert.deepEqual(
      facts?.partitions.map(({ serial, haGroup }) => [serial, haGroup]),
      [
        [token.serial, false],
        [group.serial, true]
      ]
    )
  })

  it('show flags, storage and FIPS mode as the guide’s item 15', () => {
    const facts = readLunacm(showInfoText(token, true))
    assert.equal(facts?.kind, 'partition-showinfo')
    const flags = ['RNG', 'LOGIN_REQUIRED', 'USER_PIN_INITIALIZED', 'RESTORE_KEY_NOT_NEEDED', 'TOKEN_INITIALIZED']
    const storage = { total: 159744, used: 0, free: 159744, objects: null }
    assert.partialDeepStrictEqual(facts?.partitions[0], { ...same, flags, storage, fips: true })
    assert.equal(readLunacm(showInfoText(token, false))?.partitions[0]?.fips, false)
    assert.equal(readLunacm(showInfoText(token, null))?.partitions[0]?.fips, null)
  })
})

describe('a report', () => {
  it('has no names, the same alias for the same name, and other words as they were', () => {
    const names = [
      ['ab.c', 'host-1'],
      ['a', 'label-1']
    ] as const
    const value = { say: ['"a" at ab.c, a.', 'abxc stays, and ban'], slot: 3, none: null }
    assert.deepEqual(redact(value, names), {
      say: ['"label-1" at host-1, label-1.', 'abxc stays, and ban'],
      slot: 3,
      none: null
    })
  })
})
