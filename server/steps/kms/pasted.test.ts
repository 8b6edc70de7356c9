import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readPasted } from './pasted.ts'

const verify = (...rows: string[]) =>
  ['The following Luna SA Slots/Partitions were found:', 'Slot\tSerial #\tLabel', '====\t====\t====', ...rows].join(
    '\n'
  )

test('one partition is filled in: slot, name and serial', () => {
  const pasted = readPasted(verify('   3\t 1285296213941 \tHSMoDnFIPS'))
  assert.deepEqual(pasted, {
    understood: true,
    say: 'Filled in: slot 3, HSMoDnFIPS, serial 1285296213941.',
    fill: { slot: '3', partition: 'HSMoDnFIPS', serial: '1285296213941' },
    choices: []
  })
})

test('of several none is chosen for the administrator', () => {
  const { fill, choices } = readPasted(verify('3 1285296213941 HSMoDnFIPS', '5 1285296213942 spare'))
  assert.deepEqual(fill, {})
  assert.deepEqual(
    choices.map(({ title, about }) => `${title} (${about})`),
    ['Slot 3: HSMoDnFIPS (Serial 1285296213941)', 'Slot 5: spare (Serial 1285296213942)']
  )
  assert.deepEqual(choices[1]?.fill, { slot: '5', partition: 'spare', serial: '1285296213942' })
})

test('what lunacm knows more of a partition stands beside it, an HA group by name', () => {
  const group = ['Slot Id -> 5', 'Label -> both', 'Serial Number -> 11285296213941', 'Model -> LunaVirtual']
  const { choices } = readPasted([...group, 'Slot Id -> 6', 'Label -> x', 'Serial Number -> 12345678'].join('\n'))
  assert.equal(choices[0]?.about, 'Serial 11285296213941 · LunaVirtual · virtual slot of an HA group')
})

test('a partition without a label keeps the typed name, and says what is missing', () => {
  const { fill, say } = readPasted(verify('3 1285296213941'))
  assert.deepEqual(fill, { slot: '3', serial: '1285296213941' })
  assert.match(say, /no label yet/)
})

test('what is neither lunacm nor vtl, or shows no partition, fills nothing and says why', () => {
  for (const [text, words] of [
    ['hello', /not what slot list/],
    ['', /not what slot list/],
    [verify(), /no partition/]
  ] as const) {
    const pasted = readPasted(text)
    assert.match(pasted.say, words)
    assert.deepEqual([pasted.understood, pasted.fill, pasted.choices], [false, {}, []])
  }
})
