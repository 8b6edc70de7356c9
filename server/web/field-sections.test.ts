import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sectionsOf } from './field-sections.ts'
import type { FieldModel } from './view-model.ts'

const field = (name: string, more: Partial<FieldModel> = {}): FieldModel => ({
  name,
  label: name.toUpperCase(),
  control: 'text',
  value: '',
  ...more
})
const options = ['luna', 'nss'].map((value) => ({ value, label: value.toUpperCase() }))
const luna = { onlyWhen: { field: 'store', is: ['luna'] } }
const nss = { onlyWhen: { field: 'store', is: ['nss'] } }
const names = (sections: ReturnType<typeof sectionsOf>) => sections.map(({ fields }) => fields.map(({ name }) => name))

test('fields of one condition gather at the first of them, the others keep their places', () => {
  const sections = sectionsOf([
    field('store', { control: 'select', options }),
    field('slot', luna),
    field('folder', nss),
    field('pin', luna),
    field('host')
  ])
  assert.deepEqual(names(sections), [['store'], ['slot', 'pin'], ['folder'], ['host']])
  assert.deepEqual(sections[1]?.when, { number: 1, legend: 'LUNA', hint: 'Needed only when "STORE" is LUNA.' })
  assert.deepEqual(
    sections[0]?.fields[0]?.options?.map(({ value, shows }) => [value, shows]),
    [
      ['luna', '1'],
      ['nss', '2']
    ]
  )
})

test('a fold gathers its fields, carries their own conditions, and opens on an error', () => {
  const folded = { folded: 'Client' }
  const [, fold] = sectionsOf([
    field('store', { control: 'select', options }),
    field('library', folded),
    field('conf', { ...folded, ...luna, error: 'Not there.' })
  ])
  assert.deepEqual(fold?.folded, { title: 'Client', open: true })
  assert.deepEqual(
    fold?.fields.map(({ when }) => when),
    [undefined, 1]
  )
  assert.equal(fold?.when, undefined)
})

test('one option may meet several conditions, and a ticked box meets its own', () => {
  const [security, , , tls, ca] = sectionsOf([
    field('security', {
      control: 'select',
      options: ['PLAIN', 'SSL', 'SASL'].map((value) => ({ value, label: value }))
    }),
    field('user', { onlyWhen: { field: 'security', is: ['SASL'] } }),
    field('ca', { onlyWhen: { field: 'security', is: ['SSL', 'SASL'] } }),
    field('tls', { control: 'checkbox' }),
    field('tlsCa', { onlyWhen: { field: 'tls', is: ['on', 'true'] } })
  ])
  assert.deepEqual(
    security?.fields[0]?.options?.map(({ shows }) => shows),
    ['', '2', '1 2']
  )
  assert.equal(tls?.fields[0]?.shows, '3')
  assert.equal(ca?.when?.hint, 'Needed only with "TLS" ticked.')
})
