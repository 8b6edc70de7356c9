/**
 * Keys that we certify for nobody. A certificate for a key that others can compute is a certificate for them.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { AppError } from '../errors/app-error.ts'
import { oid, tags } from './der.ts'
import { bitStringOctets, DerError, openSequence, positiveInteger } from './der-reader.ts'

const ecPublicKey = oid('1.2.840.10045.2.1')
const rsaEncryption = oid('1.2.840.113549.1.1.1')
const derNull = Buffer.of(tags.null, 0)
/** Named curves only: explicit parameters are how CVE-2020-0601 forged Microsoft's root. */
const curves = [
  { parameters: oid('1.2.840.10045.3.1.7'), octets: 32 },
  { parameters: oid('1.3.132.0.34'), octets: 48 },
  { parameters: oid('1.3.132.0.35'), octets: 66 }
]

/** Below 1000: a modulus that one of these divides was not made from two large primes. */
const smallPrimes = primesBelow(1000)

/**
 * ROCA (CVE-2017-15361): Infineon's primes are k*M + (65537^a mod M), so modulo each of these divisors of M the
 * modulus is a power of 65537. A random modulus passes all seventeen by chance once in about 2^27.
 */
const rocaPowers = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157].map((prime) => {
  const powers = new Set<number>()
  for (let power = 1; !powers.has(power); power = (power * 65537) % prime) powers.add(power)
  return { prime: BigInt(prime), powers }
})

const fermatSteps = 100
/**
 * The SubjectPublicKeyInfo of every key that was accepted: exporting one costs as much as issuing the rest of a
 * certificate.
 */
const accepted = new WeakMap<KeyObject, Buffer>()

/**
 * Accepts RSA of 2048 to 4096 bits with an exponent of at least 65537, and EC on P-256, P-384 and P-521; remembers
 * what it accepted.
 * @throws AppError invalid-input that says what is wrong with the key.
 */
export function refuseWeakKey(publicKey: KeyObject): void {
  acceptedSpki(publicKey)
}

/**
 * The DER of the SubjectPublicKeyInfo of a key that refuseWeakKey accepts. Keys are compared by it: KeyObject.equals, for an
 * RSA and an EC key, leaves an error in OpenSSL's queue that a later TLS read of this process trips over (Node 24.21).
 * @throws AppError invalid-input for any other
 */
export function acceptedSpki(publicKey: KeyObject): Buffer {
  const known = accepted.get(publicKey)
  if (known !== undefined) return known
  if (publicKey.type !== 'public') throw new AppError('internal', 'A public key was expected.')
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  refuseWeakSpki(spki)
  accepted.set(publicKey, spki)
  return spki
}

/**
 * From the DER of a SubjectPublicKeyInfo: one that refuseWeakKey accepts. OpenSSL refuses a point that is not on its
 * curve.
 * @throws AppError invalid-input
 */
export function importPublicKey(spki: Buffer): KeyObject {
  refuseWeakSpki(spki)
  let publicKey: KeyObject
  try {
    publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch (cause) {
    throw new AppError('invalid-input', 'The public key is not a valid one: its point is not on the curve.', { cause })
  }
  accepted.set(publicKey, spki)
  return publicKey
}

/** The checks need no import, so a hostile key is refused before OpenSSL works on it. */
function refuseWeakSpki(spki: Buffer): void {
  try {
    const info = openSequence(spki)
    const algorithm = info.enter(tags.sequence)
    const id = algorithm.next(tags.oid).raw
    // RSA's are NULL, EC's a curve, Ed25519 and its kin have none.
    const parameters = algorithm.done ? Buffer.alloc(0) : algorithm.next().raw
    algorithm.end()
    const key = bitStringOctets(info.next(tags.bitString))
    info.end()
    if (id.equals(ecPublicKey)) refuseWeakPoint(parameters, key)
    else if (id.equals(rsaEncryption) && parameters.equals(derNull)) refuseWeakRsa(key)
    else throw new AppError('invalid-input', 'The public key is neither RSA nor EC.')
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    throw new AppError('invalid-input', `The public key is not valid DER: ${error.message}.`, { cause: error })
  }
}

function refuseWeakPoint(parameters: Buffer, point: Buffer): void {
  const curve = curves.find((known) => known.parameters.equals(parameters))
  if (curve === undefined)
    throw new AppError('invalid-input', 'The EC key must be on the named curve P-256, P-384 or P-521.')
  if (point[0] !== 4 || point.length !== 1 + 2 * curve.octets) {
    throw new AppError('invalid-input', 'The EC key must be an uncompressed point of its curve.')
  }
}

function refuseWeakRsa(key: Buffer): void {
  const numbers = openSequence(key)
  const modulus = numbers.next(tags.integer)
  const exponent = positiveInteger(numbers.next(tags.integer))
  numbers.end()
  // Measured before it is made a number: arithmetic on a hostile 100,000-bit modulus would be the attack.
  if (modulus.content.length > 513) refuse('is longer than 4096 bits')
  const n = positiveInteger(modulus)
  const bits = n.toString(2).length
  if (bits < 2048) refuse(`has ${bits} bits; at least 2048 are needed`)
  if (bits > 4096) refuse('is longer than 4096 bits')
  if (exponent < 65537n || exponent % 2n === 0n || exponent >= 1n << 256n) {
    refuse('has a public exponent that is even, below 65537 or above 2^256')
  }
  if (smallPrimes.some((prime) => n % prime === 0n)) refuse('has a small factor')
  if (rocaPowers.every(({ prime, powers }) => powers.has(Number(n % prime)))) {
    refuse('was made by a broken generator (ROCA, CVE-2017-15361)')
  }
  if (closePrimes(n)) refuse('has two primes that are too close to each other (CVE-2022-26320)')
}

function refuse(why: string): never {
  throw new AppError('invalid-input', `The RSA key ${why}.`, { cure: 'Make a new key, for example EC P-256.' })
}

/** A few steps of Fermat's factorisation: n = a² - b² with a just above the square root of n. */
function closePrimes(n: bigint): boolean {
  let a = squareRoot(n)
  if (a * a < n) a += 1n
  let square = a * a - n
  for (let step = 0; step < fermatSteps; step++) {
    const last = Number(square & 15n)
    // Squares end in hexadecimal 0, 1, 4 or 9, which spares three roots of four.
    if ((last === 0 || last === 1 || last === 4 || last === 9) && squareRoot(square) ** 2n === square) return true
    square += 2n * a + 1n
    a += 1n
  }
  return false
}

/** Rounded down, by Newton's method. */
function squareRoot(n: bigint): bigint {
  if (n < 2n) return n
  let root = 1n << BigInt(Math.ceil(n.toString(16).length * 2) + 1)
  for (;;) {
    const next = (root + n / root) >> 1n
    if (next >= root) return root
    root = next
  }
}

function primesBelow(limit: number): bigint[] {
  const primes: number[] = []
  for (let n = 2; n < limit; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  return primes.map(BigInt)
}
