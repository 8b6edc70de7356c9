import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { chooseToken, type SlotFacts, tokenFlags } from './token-facts.ts'

function token(slot: number, label: string, serial: string): SlotFacts {
  return {
    slot,
    label,
    serial,
    manufacturer: '',
    model: '',
    firmware: '7.1',
    flags: tokenFlags(0x40c),
    memory: { total: null, free: null },
    maxSessions: null
  }
}

const three = token(3, 'HSMoDnFIPS', '1001')
const four = token(4, 'other', '1002')

/** What was chosen, in short. */
function chosen(slots: readonly SlotFacts[], want: Parameters<typeof chooseToken>[1]): string {
  const choice = chooseToken(slots, want)
  if (!choice.found) return `${choice.why}, slot holds ${choice.inSlot?.label ?? 'nothing'}`
  const doubts = [choice.labelAgrees ? [] : ['label differs'], choice.slotAgrees ? [] : ['slot differs']].flat()
  return [`${choice.token.slot} by ${choice.by}`, ...doubts].join(', ')
}

describe('the token that is meant', () => {
  const both = [three, four]
  const cases: readonly (readonly [string, readonly SlotFacts[], Parameters<typeof chooseToken>[1], string])[] = [
    ['is found by its label', both, { slot: 3, label: 'HSMoDnFIPS' }, '3 by label'],
    [
      'is found by label in another slot, and says so',
      both,
      { slot: 4, label: 'HSMoDnFIPS' },
      '3 by label, slot differs'
    ],
    [
      'is found by serial wherever it is',
      both,
      { slot: 3, label: 'other', serial: '1002' },
      '4 by serial, slot differs'
    ],
    ['has a new label', both, { slot: 3, label: 'old', serial: '1001' }, '3 by serial, label differs'],
    [
      'is not replaced by one with its label',
      both,
      { slot: 3, label: 'HSMoDnFIPS', serial: '9' },
      'serial-absent, slot holds HSMoDnFIPS'
    ],
    [
      'is absent, and the slot tells what it holds',
      both,
      { slot: 4, label: 'absent' },
      'label-absent, slot holds other'
    ],
    ['is absent with its slot', both, { slot: 9, label: 'absent' }, 'label-absent, slot holds nothing'],
    [
      'is one of two with one label, told by the slot',
      [three, token(5, 'HSMoDnFIPS', '7')],
      { slot: 5, label: 'HSMoDnFIPS' },
      '5 by label'
    ],
    [
      'is one of two with one label, and nothing tells which',
      [three, token(5, 'HSMoDnFIPS', '7')],
      { slot: 4, label: 'HSMoDnFIPS' },
      'label-ambiguous, slot holds nothing'
    ],
    ['cannot be anything without tokens', [], { slot: 3, label: 'HSMoDnFIPS' }, 'no-tokens, slot holds nothing'],
    ['is the one in the slot when nothing else was given', both, { slot: 4 }, '4 by slot']
  ]
  for (const [title, slots, want, expected] of cases) {
    it(title, () => assert.equal(chosen(slots, want), expected))
  }
})

describe('token flags', () => {
  it('are read from their bits', () => {
    const { userPinCountLow, userPinFinalTry, userPinLocked, tokenInitialized } = tokenFlags(0x50400)
    assert.deepEqual([userPinCountLow, userPinFinalTry, userPinLocked, tokenInitialized], [true, false, true, true])
  })
})
