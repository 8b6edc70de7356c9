import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFingerprint } from './fingerprint.ts'

const pairs = Array.from({ length: 32 }, (_, at) => (at + 160).toString(16).toUpperCase())
const told = pairs.join(':')

test('a fingerprint is read however it was copied, and always comes out as openssl prints it', () => {
  const plain = pairs.join('').toLowerCase()
  const forms = [told, told.toLowerCase(), plain, pairs.join(' '), ` ${told}\n`]
  const named = ['SHA256:', 'sha256 ', 'SHA-256: ', 'sha256 Fingerprint=', 'SHA256 Fingerprint: ']
  for (const form of [...forms, ...named.map((name) => name + told)]) assert.equal(readFingerprint(form), told, form)
})

test('what is no SHA-256 is none: cut short, too long, of another digest, or no hex at all', () => {
  const others = [
    '',
    ' ',
    'garbage',
    told.slice(3),
    `${told}:00`,
    `SHA1:${told}`,
    told.replace('A0', 'G0'),
    told.replace(':', '-')
  ]
  for (const other of others) assert.equal(readFingerprint(other), null, other)
})
