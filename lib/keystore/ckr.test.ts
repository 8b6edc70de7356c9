import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import pkcs11js from 'pkcs11js'
import { ckrOf, ckrTable } from './ckr.ts'
import { callFailure } from './ckr-error.ts'
import { keyStoreProfiles } from './profiles/registry.ts'

describe('the table of return codes', () => {
  it('has every code that pkcs11js knows, under the same name', () => {
    const known = Object.entries(pkcs11js).filter(([name]) => name.startsWith('CKR_') && name !== 'CKR_VENDOR_DEFINED')
    assert.ok(known.length > 80)
    for (const [name, code] of known) assert.equal(ckrOf(Number(code)).name, name)
  })

  for (const row of ckrTable) {
    it(`${row.name} says what it means and what to do`, () => {
      assert.match(row.say, /^[A-Z].{8,}\.$/)
      assert.match(row.cure, /^[A-Z].{8,}\.$/)
      assert.equal(ckrOf(row.code), row)
    })
  }

  it('has each number and each name once', () => {
    assert.equal(new Set(ckrTable.map((row) => row.code)).size, ckrTable.length)
    assert.equal(new Set(ckrTable.map((row) => row.name)).size, ckrTable.length)
  })

  it('keeps the number of a code that nobody knows', () => {
    assert.equal(ckrOf(0x8badf00d).name, 'CKR_0x8BADF00D')
    assert.match(ckrOf(0x80000050).say, /secure trusted channel/)
  })

  it('is refined by the hints of the profiles, each for a code of the table', () => {
    for (const profile of Object.values(keyStoreProfiles)) {
      for (const code of Object.keys(profile.hints)) assert.ok(ckrTable.some((row) => row.code === Number(code)))
    }
  })
})

describe('an error of pkcs11js', () => {
  it('is read in each of its shapes', () => {
    const own = Object.assign(new Error('CKR_PIN_INCORRECT'), { code: 160 })
    assert.deepEqual(
      [own, new Error('CKR_PIN_INCORRECT:160'), new Error('CKR_VENDOR_DEFINED:2147483655\n  at PKCS11.C_Login')].map(
        (error) => callFailure('C_Login', error).ckr
      ),
      ['CKR_PIN_INCORRECT', 'CKR_PIN_INCORRECT', 'CKR_USER_LOCKED_OUT']
    )
  })

  it('that is no return code keeps its words, on one line', () => {
    const failure = callFailure('dlopen', new Error('cannot open shared object\nstack'))
    assert.deepEqual(failure, { call: 'dlopen', ckr: null, code: null, message: 'cannot open shared object' })
  })
})
