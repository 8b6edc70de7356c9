import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Finding } from '../checks/check.ts'
import { findingText } from './finding-text.ts'

const finding: Finding = {
  id: 'kms.login',
  title: 'Login',
  verdict: 'fail',
  say: 'The password is not correct. Failure 1 known here; the partition locks after at most 10 failures.',
  cure: "Enter the Crypto Officer's current password (after role changepw).",
  guide: 'Guide: DPoD, item 13',
  ckr: { code: 0xa0, name: 'CKR_PIN_INCORRECT' },
  ms: 4.6
}

test('in a pipe each part of a finding is a line', () => {
  assert.deepEqual(findingText(finding, undefined).split('\n'), [
    `fail  Login                        ${finding.say} [CKR_PIN_INCORRECT 0xA0] (5 ms)`,
    `      Next: ${finding.cure}`,
    '      Guide: DPoD, item 13',
    ''
  ])
})

test('on a terminal no line is longer than it, wide or narrow, and every word is there', () => {
  for (const columns of [40, 60, 80, 100, 200]) {
    const text = findingText(finding, columns)
    for (const line of text.split('\n')) assert.ok(line.length < columns, `${columns}: ${line}`)
    assert.equal(text.replaceAll(/\s+/g, ' '), findingText(finding, undefined).replaceAll(/\s+/g, ' '))
  }
  assert.match(findingText(finding, 60), /^fail {2}Login\n {6}The password/)
})

test('a word that is longer than the line stays whole, and what cost no time tells none', () => {
  const path = `/opt/${'long/'.repeat(20)}libCryptoki2_64.so`
  const text = findingText({ id: 'x', title: 'Library', verdict: 'pass', say: `${path} is read.`, ms: 0.2 }, 60)
  assert.deepEqual(text, `pass  Library\n      ${path}\n      is read.\n`)
})
