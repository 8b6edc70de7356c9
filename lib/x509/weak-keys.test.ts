import assert from 'node:assert/strict'
import {
  checkPrimeSync,
  createPublicKey,
  generateKeyPairSync,
  generatePrimeSync,
  type KeyObject,
  randomInt
} from 'node:crypto'
import { test } from 'node:test'
import { oid, sequence, tags, tlv } from './der.ts'
import { file, newKeyPair, openssl } from './testing.ts'
import { importPublicKey, refuseWeakKey } from './weak-keys.ts'

function rsa(n: bigint, e = 65537n): KeyObject {
  const base64url = (number: bigint) => {
    const hex = number.toString(16)
    return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url')
  }
  return createPublicKey({ key: { kty: 'RSA', n: base64url(n), e: base64url(e) }, format: 'jwk' })
}

function spkiOf(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' })
}

/** A number that looks like a modulus and has a factor only where a test puts one. */
function modulus(bits: number): bigint {
  return generatePrimeSync(bits / 2, { bigint: true }) * generatePrimeSync(bits / 2, { bigint: true })
}

test('good keys are taken', () => {
  for (const namedCurve of ['P-256', 'P-384', 'P-521']) {
    refuseWeakKey(generateKeyPairSync('ec', { namedCurve }).publicKey)
  }
  for (let i = 0; i < 5; i++) refuseWeakKey(rsa(modulus(2048)))
  refuseWeakKey(rsa(modulus(4096)))
  const spki = spkiOf(newKeyPair('EC-P256').publicKey)
  assert.deepEqual(spkiOf(importPublicKey(spki)), spki)
})

test('RSA keys of a wrong size or exponent are refused', () => {
  const good = modulus(2048)
  const refused: ReadonlyArray<[KeyObject, RegExp]> = [
    [rsa(modulus(1024)), /1024 bits/],
    [rsa(good >> 1n), /2047 bits/],
    [rsa((1n << 4096n) + 1n), /longer than 4096/],
    [rsa((1n << 16383n) + 1n), /longer than 4096/],
    [rsa(good, 3n), /exponent/],
    [rsa(good, 65536n), /exponent/],
    [rsa(good, (1n << 256n) + 1n), /exponent/]
  ]
  for (const [key, message] of refused) assert.throws(() => refuseWeakKey(key), { code: 'invalid-input', message })
})

test('an RSA modulus that anybody can factor is refused', () => {
  const prime = generatePrimeSync(1024, { bigint: true })
  assert.throws(() => refuseWeakKey(rsa(997n * generatePrimeSync(2040, { bigint: true }))), { message: /small factor/ })
  assert.throws(() => refuseWeakKey(rsa(prime * prime)), { message: /too close/ })
  assert.throws(() => refuseWeakKey(rsa(prime * nextPrime(prime))), { message: /too close/ })
  // This far apart, Fermat's method needs between 50 and 67 steps.
  assert.throws(() => refuseWeakKey(rsa(prime * nextPrime(prime + (20n << 512n)))), { message: /too close/ })
})

test('a key of the Infineon generator is refused (ROCA)', () => {
  assert.throws(() => refuseWeakKey(rsa(infineonPrime() * infineonPrime())), { message: /ROCA/ })
})

test('other kinds of key, curves and encodings are refused', () => {
  const point = spkiOf(newKeyPair('EC-P256').publicKey)
  const offCurve = Buffer.from(point)
  offCurve.writeUInt8(offCurve.readUInt8(90) ^ 1, 90)
  const pair = file(openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'))
  const spki = (...form: string[]) =>
    Buffer.from(openssl('ec', '-in', pair, '-pubout', ...form).replace(/-----.*-----|\s/g, ''), 'base64')
  const rsaSpki = spkiOf(rsa(modulus(2048)))
  const refused: ReadonlyArray<[string, Buffer, RegExp]> = [
    ['Ed25519', spkiOf(generateKeyPairSync('ed25519').publicKey), /neither RSA nor EC/],
    ['RSA-PSS', spkiOf(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey), /neither RSA nor EC/],
    ['P-224', spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-224' }).publicKey), /P-256/],
    ['secp256k1', spkiOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey), /P-256/],
    ['explicit curve parameters', spki('-param_enc', 'explicit'), /named curve/],
    ['a compressed point', spki('-conv_form', 'compressed'), /uncompressed/],
    ['a hybrid point', spki('-conv_form', 'hybrid'), /uncompressed/],
    ['a point off its curve', offCurve, /not on the curve/],
    ['a byte more', Buffer.concat([point, Buffer.alloc(1)]), /after its end/],
    ['a cut', rsaSpki.subarray(0, -1), /cut off/],
    ['nothing', Buffer.alloc(0), /cut off/],
    ['no key', sequence(sequence(oid('1.2.840.10045.2.1'), tlv(tags.null))), /DER/]
  ]
  for (const [what, der, message] of refused) {
    assert.throws(() => importPublicKey(der), { name: 'AppError', code: 'invalid-input', message }, what)
  }
})

function nextPrime(after: bigint): bigint {
  let next = after + 2n
  while (!checkPrimeSync(next)) next += 2n
  return next
}

/** k*M + (65537^a mod M), M the product of the first 126 primes: the published structure for 2048-bit keys. */
function infineonPrime(): bigint {
  const primes: number[] = []
  for (let n = 2; primes.length < 126; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  const m = primes.reduce((product, prime) => product * BigInt(prime), 1n)
  for (;;) {
    let power = 1n
    for (let a = randomInt(1, 10_000); a > 0; a--) power = (power * 65537n) % m
    // The two highest bits are set, so that the product of two has 2048.
    const candidate = BigInt(randomInt(2 ** 45)) * 61n * m + power + ((3n << 1022n) / m) * m
    if (checkPrimeSync(candidate)) return candidate
  }
}
