import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gemaltoSafenet } from './gemalto-safenet.ts'
import { nss, nssParameters } from './nss.ts'
import { pinProblem } from './profile.ts'
import { keyStoreProfiles } from './registry.ts'

describe('every profile', () => {
  for (const [id, profile] of Object.entries(keyStoreProfiles)) {
    it(`${id} is complete`, () => {
      assert.equal(profile.id, id)
      assert.ok(profile.libraryPaths.every((path) => path.startsWith('/') && path.endsWith('.so')))
      assert.ok(profile.pin.min >= 7 && profile.pin.max <= 255)
      assert.ok(profile.mechanisms.rsaKeyPairGen.length > 0)
    })
  }
})

describe('the Gemalto SafeNet profile', () => {
  const deadlines = [
    ['/usr/safenet/lunaclient/lib/libCryptoki2_64.so', 30_000],
    ['/opt/dpod/hsm1/libs/64/libCryptoki2.so', 60_000],
    ['/srv/dpod-client/libs/64/libCryptoki2.so', 60_000],
    ['/usr/lib/softhsm/libsofthsm2.so', 10_000]
  ] as const
  for (const [module, ms] of deadlines) {
    it(`gives ${module} ${ms} ms`, () => assert.equal(gemaltoSafenet.deadlineMs(module), ms))
  }

  it('takes the passwords that Luna takes', () => {
    assert.equal(pinProblem(gemaltoSafenet, 'seven77'), null)
    for (const pin of ['', 'short6', 'x'.repeat(256), 'with"quote', 'with\0nul', 'with\nline']) {
      assert.notEqual(pinProblem(gemaltoSafenet, pin), null, JSON.stringify(pin))
    }
  })
})

describe('the NSS profile', () => {
  it('asks for 12 characters', () => {
    assert.equal(pinProblem(nss, 'twelve chars'), null)
    assert.match(pinProblem(nss, 'eleven char') ?? '', /12 to 255/)
  })

  it('ends the parameter string with a space, which pkcs11js drops', () => {
    assert.match(nssParameters('/var/lib/keyscaler/nss', 'write'), /configdir='sql:\/var\/lib\/keyscaler\/nss' .* $/)
    assert.match(nssParameters('/a', 'read'), / flags=readOnly /)
  })

  for (const folder of ["/it's", '/a"b', '/a\\b', 'relative', '', '/a\nb', '/a<b', '/nul\0']) {
    it(`refuses the folder ${JSON.stringify(folder)}`, () => {
      assert.throws(() => nssParameters(folder, 'write'), { code: 'invalid-input' })
    })
  }
})
