/**
 * How an install record is signed: a JWS in the general JSON serialization (RFC 7515 section 7.2.1) with two signatures.
 * The first is the KMS's: its key is in the token. The KMS signs messages with a prefix that no certificate can begin with, so
 * this is ES256 over other bytes than usual, which `crit` says (section 4.1.11): who does not know it has to refuse it. The
 * second is a plain ES256 of the wizard's own certificate (x5c), which leads to the service CA: it tells whose KMS key the
 * first one is. Both are over the same payload; the format is written down in docs/install-record.md.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
  X509Certificate
} from 'node:crypto'
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KmsClient, SigningKey } from '../../lib/kms-client/kms-client.ts'
import { signedBytes } from '../../lib/kms-client/signed-message.ts'
import { verifyChain } from '../../lib/x509/chain.ts'
import { openSequence, positiveInteger } from '../../lib/x509/der-reader.ts'
import { serviceRoleOf } from '../../lib/x509/service-role.ts'
import { type InstallRecord, recordSchema } from './record.ts'

const base64url = z.base64url().min(1)
const signedSchema = z.strictObject({
  payload: base64url,
  signatures: z.tuple([
    z.strictObject({ protected: base64url, signature: base64url }),
    z.strictObject({ protected: base64url, signature: base64url })
  ])
})
export type SignedRecord = z.infer<typeof signedSchema>

const byKms = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal('keyscaler-record'),
  kid: z.string(),
  crit: z.tuple([z.literal('keyscaler-message')]),
  'keyscaler-message': z.literal(1)
})
const byWizard = z.strictObject({
  alg: z.literal('ES256'),
  typ: z.literal('keyscaler-record'),
  x5c: z.tuple([z.base64(), z.base64()])
})

/** Of a P-256 signature, r and s (RFC 7518 section 3.4). */
const half = 32
const rawForm = 'ieee-p1363'
/** What the KMS signs in the end is a message of this length: the record may be as long as it likes. */
const purpose = Buffer.from('keyscaler install record, version 1\0')

export interface RecordSigners {
  readonly kms: Pick<KmsClient, 'signMessage'>
  readonly signingKey: SigningKey
  /** PEM: the wizard's certificate, its key, and the service CA. */
  readonly wizard: { readonly certificate: string; readonly key: string; readonly ca: string }
}

export async function signRecord(
  record: InstallRecord,
  { kms, signingKey, wizard }: RecordSigners
): Promise<SignedRecord> {
  const payload = encoded(record)
  const first = encoded({
    alg: 'ES256',
    typ: 'keyscaler-record',
    kid: signingKey.keyId,
    crit: ['keyscaler-message'],
    'keyscaler-message': 1
  } satisfies z.infer<typeof byKms>)
  const der = await kms.signMessage(signingKey.keyId, messageOf(`${first}.${payload}`))
  const x5c = [wizard.certificate, wizard.ca].map((pem) => new X509Certificate(pem).raw.toString('base64'))
  const second = encoded({ alg: 'ES256', typ: 'keyscaler-record', x5c })
  const key = { key: createPrivateKey(wizard.key), dsaEncoding: rawForm } as const
  return {
    payload,
    signatures: [
      { protected: first, signature: rawSignature(der).toString('base64url') },
      { protected: second, signature: sign('sha256', Buffer.from(`${second}.${payload}`), key).toString('base64url') }
    ]
  }
}

export interface VerifiedRecord {
  readonly record: InstallRecord
  /** SHA-256 of the service CA that the record leads to: trusted only as far as this one is known. */
  readonly caFingerprint: string
}

/**
 * Whole and by the signers that it names: whether their CA is the right one is for the caller to say.
 * @param text a signed record, as JSON
 * @throws AppError invalid-input for what is no record, check-failed for one that does not verify
 */
export function verifyRecord(text: string): VerifiedRecord {
  const { payload, signatures } = parsed(signedSchema, text)
  const [kms, wizard] = signatures
  parsed(byKms, decoded(kms.protected))
  const { x5c } = parsed(byWizard, decoded(wizard.protected))
  const record = parsed(recordSchema, decoded(payload))
  const [certificate, ca] = x5c.map((der) => readCertificate(der)) as [X509Certificate, X509Certificate]
  const at = new Date(record.recordedAt)
  if (!verifyChain({ certificate, anchors: [ca], at }).trusted || serviceRoleOf(certificate) !== 'wizard') {
    throw broken("the wizard's certificate in it does not lead to the CA in it")
  }
  const plain = Buffer.from(`${wizard.protected}.${payload}`)
  if (!isSignature(plain, certificate.publicKey, wizard.signature))
    throw broken("the wizard's signature is not over it")
  const message = signedBytes(messageOf(`${kms.protected}.${payload}`))
  if (!isSignature(message, readPublicKey(record.signingKey.publicKey), kms.signature)) {
    throw broken("the KMS's signature is not over it")
  }
  return { record, caFingerprint: ca.fingerprint256 }
}

function isSignature(bytes: Uint8Array, key: KeyObject, signature: string): boolean {
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return false
  return verify('sha256', bytes, { key, dsaEncoding: rawForm }, Buffer.from(signature, 'base64url'))
}

function messageOf(signingInput: string): Buffer {
  return Buffer.concat([purpose, createHash('sha256').update(signingInput).digest()])
}

/** A DER ECDSA-Sig-Value as JWS has it. */
function rawSignature(der: Uint8Array): Buffer {
  const inside = openSequence(Buffer.from(der))
  const numbers = [positiveInteger(inside.next(0x02)), positiveInteger(inside.next(0x02))]
  return Buffer.from(numbers.map((number) => number.toString(16).padStart(half * 2, '0')).join(''), 'hex')
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function decoded(part: string): string {
  return Buffer.from(part, 'base64url').toString('utf8')
}

function parsed<T>(schema: z.ZodType<T>, text: string): T {
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    throw new AppError('invalid-input', 'This is not a signed install record of a version that is known here.', {
      cause
    })
  }
}

function readCertificate(base64: string): X509Certificate {
  try {
    return new X509Certificate(Buffer.from(base64, 'base64'))
  } catch {
    throw broken('a certificate in it cannot be read')
  }
}

function readPublicKey(pem: string): KeyObject {
  try {
    return createPublicKey(pem)
  } catch {
    throw broken('the public key in it cannot be read')
  }
}

function broken(why: string): AppError {
  return new AppError('check-failed', `The record was changed, or is none of ours: ${why}.`, {
    cure: 'Take it from where it was kept first: records/ in the state folder, or keyscaler record show.'
  })
}
