import assert from 'node:assert/strict'
import { createCipheriv } from 'node:crypto'
import { describe, it } from 'node:test'
import { isRightAnswer, type KeyWrapName, keyWrapExample, keyWrapNumbers } from './key-wrap.ts'
import { mechanismName } from './mechanism-names.ts'

/** The same, by OpenSSL: name of the cipher and the initial value of the RFC. */
const inOpenssl: Readonly<Record<KeyWrapName, readonly [cipher: string, iv: string]>> = {
  'aes-kw': ['id-aes256-wrap', 'a6a6a6a6a6a6a6a6'],
  'aes-kwp': ['id-aes256-wrap-pad', 'a65959a6']
}

describe('AES key wrap', () => {
  for (const name of Object.keys(keyWrapNumbers) as KeyWrapName[]) {
    it(`${name} is right where it is what OpenSSL answers, and only there`, () => {
      const [algorithm, iv] = inOpenssl[name]
      const wrap = (data: Buffer) => {
        const cipher = createCipheriv(algorithm, keyWrapExample.kek, Buffer.from(iv, 'hex'))
        return Buffer.concat([cipher.update(data), cipher.final()])
      }
      assert.equal(isRightAnswer(name, wrap(keyWrapExample.keyData)), true)
      assert.equal(isRightAnswer(name, wrap(keyWrapExample.kek)), false)
      // What NSS does under 0x210A: PKCS#7 padding, then RFC 3394.
      assert.equal(isRightAnswer(name, wrap(Buffer.concat([keyWrapExample.keyData, Buffer.alloc(8, 8)]))), false)
    })

    it(`${name} is tried in numbers that have a name`, () => {
      for (const number of keyWrapNumbers[name]) assert.doesNotMatch(mechanismName(number), /0x/)
    })
  }
})
