import assert from 'node:assert/strict'
import { test } from 'node:test'
import { issueCertificate } from './issue.ts'
import { parseName } from './name.ts'
import { newSerial } from './serial.ts'
import { file, newCa, newKeyPair, openssl } from './testing.ts'
import { validity } from './validity.ts'

const name = 'CN=Example Device CA, O=Example'
const [old, next] = await Promise.all([newCa('EC-P256', name), newCa('EC-P384', name)])

const signedBy = (issuer: typeof old, subject: typeof old) => ({
  profile: 'ca-key-update' as const,
  subject: parseName(name),
  publicKey: subject.certificate.publicKey,
  serial: newSerial(),
  issuer: { certificate: issuer.certificate },
  ...validity(3650, issuer.certificate)
})

const device = (ca: typeof old) =>
  issueCertificate(
    {
      profile: 'device',
      subject: parseName('CN=device-1'),
      publicKey: newKeyPair('EC-P256').publicKey,
      serial: newSerial(),
      issuer: { certificate: ca.certificate },
      ...validity(30, ca.certificate)
    },
    ca.signer
  )

test('who trusts the old key only accepts what the new one issues, and the other way round (openssl, strictly)', async () => {
  const newWithOld = await issueCertificate(signedBy(old, next), old.signer)
  const oldWithNew = await issueCertificate(signedBy(next, old), next.signer)
  const [byOld, byNew] = await Promise.all([device(old), device(next)])
  const verify = (trusted: typeof old, between: typeof byOld, leaf: typeof byOld) => {
    const files = ['-CAfile', file(trusted.certificate.toString()), '-untrusted', file(between.toString())]
    return openssl('verify', '-x509_strict', '-purpose', 'sslclient', ...files, file(leaf.toString()))
  }
  assert.match(verify(old, newWithOld, byNew), /: OK/)
  assert.match(verify(next, oldWithNew, byOld), /: OK/)
  assert.throws(() => verify(old, oldWithNew, byNew))
})

test("a key update has the CA's own name and another key; a CA of another name is none, and no CA makes one", async () => {
  const refused = { code: 'invalid-input' }
  await assert.rejects(
    issueCertificate({ ...signedBy(old, next), subject: parseName('CN=Other') }, old.signer),
    refused
  )
  await assert.rejects(issueCertificate(signedBy(old, old), old.signer), refused)
  await assert.rejects(issueCertificate({ ...signedBy(old, next), profile: 'tenant-ca' }, old.signer), refused)
})
