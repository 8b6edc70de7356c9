/** A model of a partition in FIPS mode, which no library on this machine is; real ones are in keystore.test.ts. */
import assert from 'node:assert/strict'
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Mechanism } from 'pkcs11js'
import { gcmDecrypt, gcmEncrypt, type KeyInSession, refusesCallerIv } from './gcm.ts'

const handle = Buffer.alloc(8)
const aad = Buffer.from('row 7')
const plain = Buffer.from('a data key')

/** domain.md A4: no IV from the caller; 16 bytes of its own behind ciphertext and tag. */
function fipsPartition(wantsIvBack: 'as parameter' | 'in the data'): KeyInSession {
  const secret = randomBytes(32)
  let parameter: { iv: Buffer; aad: Buffer } = { iv: Buffer.alloc(0), aad: Buffer.alloc(0) }
  const begin = ({ parameter: given }: Mechanism, isFine: (iv: Buffer) => boolean): void => {
    assert.ok(typeof given === 'object' && 'iv' in given && Buffer.isBuffer(given.iv))
    assert.ok('aad' in given && Buffer.isBuffer(given.aad) && 'tagBits' in given && given.tagBits === 128)
    if (!isFine(given.iv)) throw new Error('CKR_MECHANISM_PARAM_INVALID:113')
    parameter = { iv: given.iv, aad: given.aad }
  }
  const library: KeyInSession['library'] = {
    C_EncryptInit: (_session, mechanism) => begin(mechanism, (iv) => iv.length === 0),
    C_Encrypt: (_session, input, output) => {
      const iv = randomBytes(16)
      const cipher = createCipheriv('aes-256-gcm', secret, iv).setAAD(parameter.aad)
      const sealed = Buffer.concat([cipher.update(input), cipher.final(), cipher.getAuthTag(), iv])
      sealed.copy(output)
      return output.subarray(0, sealed.length)
    },
    C_DecryptInit: (_session, mechanism) =>
      begin(mechanism, (iv) => iv.length === (wantsIvBack === 'as parameter' ? 16 : 0)),
    C_Decrypt: (_session, input, output) => {
      const end = wantsIvBack === 'as parameter' ? input.length : input.length - 16
      const iv = wantsIvBack === 'as parameter' ? parameter.iv : input.subarray(end)
      const decipher = createDecipheriv('aes-256-gcm', secret, iv).setAAD(parameter.aad)
      decipher.setAuthTag(input.subarray(end - 16, end))
      const opened = Buffer.concat([decipher.update(input.subarray(0, end - 16)), decipher.final()])
      opened.copy(output)
      return output.subarray(0, opened.length)
    }
  }
  return { library, session: handle, key: handle }
}

describe('AES-GCM on a partition in FIPS mode', () => {
  it('refuses our IV, which is told apart from other errors', () => {
    assert.throws(
      () => gcmEncrypt(fipsPartition('as parameter'), 'caller-iv', plain, aad),
      (error) => refusesCallerIv(error)
    )
    assert.equal(refusesCallerIv(new Error('CKR_MECHANISM_PARAM_INVALID:113')), false)
  })

  for (const wants of ['as parameter', 'in the data'] as const) {
    it(`comes back where the firmware wants its IV ${wants}`, () => {
      const partition = fipsPartition(wants)
      const sealed = gcmEncrypt(partition, 'token-iv', plain, aad)
      assert.deepEqual([sealed.mode, sealed.iv.length, sealed.data.length], ['token-iv', 0, plain.length + 32])
      assert.deepEqual(gcmDecrypt(partition, sealed, aad), plain)
      assert.throws(() => gcmDecrypt(partition, sealed, Buffer.from('row 8')))
    })
  }
})
