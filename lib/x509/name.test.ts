import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { decodeName, encodeName, formatName, parseName } from './name.ts'

test('what an administrator types is read with the most general part last', () => {
  assert.deepEqual(parseName('CN=Example Device CA, O=Example, C=GB'), [
    { type: 'C', value: 'GB' },
    { type: 'O', value: 'Example' },
    { type: 'CN', value: 'Example Device CA' }
  ])
  assert.equal(formatName(parseName('cn = a ,o=b')), 'CN=a, O=b')
})

test('commas and quotes in values survive, escaped or quoted', () => {
  const name = [{ type: 'O', value: 'Example, "Ltd"' }]
  assert.deepEqual(parseName('O=Example\\, \\"Ltd\\"'), name)
  assert.deepEqual(parseName('O="Example, \\"Ltd\\""'), name)
  assert.deepEqual(parseName('O=Gr\\C3\\B6\\C3\\9Fe'), [{ type: 'O', value: 'Größe' }])
})

test('any name is read back from its text and from its DER', () => {
  const alphabet = [...'aZ9 +,;<>#="\\\'/.:*&@ä日Ω😀']
  for (let i = 0; i < 2000; i++) {
    const value =
      Array.from({ length: randomInt(1, 12) }, () => alphabet[randomInt(alphabet.length)])
        .join('')
        .trim() || 'x'
    const name = [
      { type: 'O', value },
      { type: 'CN', value: `${i}` }
    ]
    assert.deepEqual(parseName(formatName(name)), name)
    assert.deepEqual(decodeName(encodeName(name)), name)
  }
})

test('plain text is a PrintableString, other text UTF-8, mail and domain parts IA5', () => {
  const tagOf = (typed: string) => encodeName(parseName(typed)).at(-3)
  assert.equal(tagOf('CN=a'), 0x13)
  assert.equal(tagOf('CN=*'), 0x0c)
  assert.equal(tagOf('DC=a'), 0x16)
})

test('what is no name, or reads as another one, is refused with words for it', () => {
  const refused: ReadonlyArray<[string, RegExp]> = [
    ['', /is empty/],
    ['Example CA', /known type/],
    ['/C=GB/O=Example', /known type/],
    ['CN=', /CN of the name is empty/],
    ['CN=a,,O=b', /empty or unfinished/],
    ['CN=a,', /empty or unfinished/],
    ['CN="a', /empty or unfinished/],
    ['CN=a\\', /empty or unfinished/],
    ['CN=a+O=b', /without a backslash/],
    ['CN=#0500', /without a backslash/],
    ['CN=\\FF', /not UTF-8/],
    ['FOO=a', /known type/],
    ['constructor=a', /known type/],
    ['C=gb', /two capital letters/],
    ['C=GBR', /longer than 2/],
    ['serialNumber=ä', /character other than/],
    ['DC=ä', /outside ASCII/],
    [`CN=${'a'.repeat(65)}`, /longer than 64/],
    [`CN=${'a'.repeat(3000)}`, /too long/],
    ['CN=\\00a', /control/],
    ['CN=a\u0000b', /control/],
    ['CN=a\nb', /control/],
    ['CN=a\u202eb', /invisible/],
    ['CN=a\u200bb', /invisible/],
    ['CN=a\u00a0b', /invisible/],
    ['CN=a\ud800', /half a character/],
    ['CN=a\\ ', /space/]
  ]
  for (const [typed, message] of refused) {
    assert.throws(() => parseName(typed), { name: 'AppError', code: 'invalid-input', message }, JSON.stringify(typed))
  }
  assert.throws(() => encodeName([{ type: '1.2.3', value: 'a' }]), { code: 'invalid-input' })
  assert.throws(() => encodeName(Array(17).fill({ type: 'OU', value: 'a' })), { code: 'invalid-input' })
})
