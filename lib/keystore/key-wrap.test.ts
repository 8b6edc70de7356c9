import assert from 'node:assert/strict'
import { createCipheriv } from 'node:crypto'
import { describe, it } from 'node:test'
import { type KeyWrapName, keyWrapAnswers, keyWrapExample, keyWrapNumbers } from './key-wrap.ts'
import { mechanismName } from './mechanism-names.ts'

/** The same, by OpenSSL: name of the cipher and the initial value of the RFC. */
const inOpenssl: Readonly<Record<KeyWrapName, readonly [cipher: string, iv: string]>> = {
  'aes-kw': ['id-aes256-wrap', 'a6a6a6a6a6a6a6a6'],
  'aes-kwp': ['id-aes256-wrap-pad', 'a65959a6']
}

describe('AES key wrap', () => {
  for (const name of Object.keys(keyWrapNumbers) as KeyWrapName[]) {
    it(`${name} is held against the answer that OpenSSL gives too`, () => {
      const [algorithm, iv] = inOpenssl[name]
      const cipher = createCipheriv(algorithm, keyWrapExample.kek, Buffer.from(iv, 'hex'))
      const wrapped = Buffer.concat([cipher.update(keyWrapExample.keyData), cipher.final()])
      assert.equal(wrapped.toString('hex'), keyWrapAnswers[name])
    })

    it(`${name} is tried in numbers that have a name`, () => {
      for (const number of keyWrapNumbers[name]) assert.doesNotMatch(mechanismName(number), /0x/)
    })
  }
})
