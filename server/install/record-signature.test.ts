/** The record's two signatures: what verifies, what is refused, and what a stranger's JWS library makes of it. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { test } from 'node:test'
import { compactVerify, importX509 } from 'jose'
import { signedBytes } from '../../lib/kms-client/signed-message.ts'
import { issueCertificate } from '../../lib/x509/issue.ts'
import { newSerial } from '../../lib/x509/serial.ts'
import { serviceRoleUri } from '../../lib/x509/service-role.ts'
import { newCa, newKeyPair, type TestCa } from '../../lib/x509/testing.ts'
import { validity } from '../../lib/x509/validity.ts'
import type { InstallRecord } from './record.ts'
import { type RecordSigners, type SignedRecord, signRecord, verifyRecord } from './record-signature.ts'

function pemOf(key: KeyObject): string {
  const type = key.type === 'private' ? 'pkcs8' : 'spki'
  return String(key.export({ type, format: 'pem' }))
}

/** The KMS in place of which a software key signs exactly what it would. */
async function signersOf(ca: TestCa, role = 'wizard'): Promise<RecordSigners> {
  const inToken = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const own = newKeyPair('EC-P256')
  const certificate = await issueCertificate(
    {
      profile: 'service',
      subject: [{ type: 'CN', value: `KeyScaler ${role}` }],
      publicKey: own.publicKey,
      serial: newSerial(),
      issuer: { certificate: ca.certificate },
      uris: [serviceRoleUri(role)],
      ...validity(30, ca.certificate)
    },
    ca.signer
  )
  return {
    kms: { signMessage: async (_id, message) => sign('sha256', signedBytes(message), inToken.privateKey) },
    signingKey: { keyId: 'ab'.repeat(16), publicKey: pemOf(inToken.publicKey) },
    wizard: {
      certificate: certificate.toString(),
      key: pemOf(own.privateKey),
      ca: ca.certificate.toString()
    }
  }
}

function recordBy({ signingKey }: RecordSigners): InstallRecord {
  return {
    type: 'keyscaler install record',
    version: 1,
    install: 'an-install',
    finishedAt: new Date().toISOString(),
    recordedAt: new Date().toISOString(),
    product: { version: '0', node: 'v24', system: 'Linux', host: 'here' },
    planHash: 'cd'.repeat(32),
    steps: [],
    keyStore: { profile: 'nss', label: 'x', serial: '1', model: '', firmware: '', module: null, moduleSha256: null },
    keys: [],
    certificates: [],
    services: [],
    signingKey: { id: signingKey.keyId, publicKey: signingKey.publicKey }
  }
}

const ca = await newCa()
const signers = await signersOf(ca)
const record = recordBy(signers)
const signed = await signRecord(record, signers)
const refused = { code: 'check-failed', message: /was changed, or is none of ours/ }
const json = (value: SignedRecord) => JSON.stringify(value)
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

test('a record verifies, and names its CA', () => {
  assert.deepEqual(verifyRecord(json(signed)), { record, caFingerprint: ca.certificate.fingerprint256 })
})

test('a hundred signatures verify, those with a short r or s too', async () => {
  for (let time = 0; time < 100; time++) {
    const again = await signRecord(record, signers)
    assert.equal(Buffer.from(again.signatures[0].signature, 'base64url').length, 64)
    assert.deepEqual(verifyRecord(json(again)).record, record)
  }
})

test('the second signature is a plain JWS, the first one refuses who does not know its message form', async () => {
  const [kms, wizard] = signed.signatures
  const compact = (one: typeof kms) => `${one.protected}.${signed.payload}.${one.signature}`
  const key = await importX509(signers.wizard.certificate, 'ES256')
  const { payload } = await compactVerify(compact(wizard), key)
  assert.deepEqual(JSON.parse(Buffer.from(payload).toString()), record)
  await assert.rejects(
    compactVerify(compact(kms), key),
    /Extension Header Parameter "keyscaler-message" is not recognized/
  )
})

test('a changed word, a swapped signature and a signature of another record are refused', async () => {
  const changed = part({ ...record, planHash: 'ef'.repeat(32) })
  const other = await signRecord({ ...record, install: 'another' }, signers)
  const [kms, wizard] = signed.signatures
  for (const forged of [
    { ...signed, payload: changed },
    { ...signed, signatures: [other.signatures[0], wizard] },
    { ...signed, signatures: [kms, other.signatures[1]] },
    { ...signed, signatures: [{ ...kms, signature: wizard.signature }, wizard] },
    { ...signed, signatures: [{ ...kms, signature: kms.signature.slice(0, 40) }, wizard] }
  ] as SignedRecord[]) {
    assert.throws(() => verifyRecord(json(forged)), refused)
  }
})

test('who has only the key of the token, or only that of the wizard, makes no record', async () => {
  const foreign = await signersOf(await newCa('EC-P256', 'CN=Another CA'))
  const onlyToken = await signRecord(record, { ...signers, wizard: { ...foreign.wizard, ca: signers.wizard.ca } })
  assert.throws(() => verifyRecord(json(onlyToken)), refused)
  const onlyWizard = await signRecord(record, { ...signers, kms: foreign.kms })
  assert.throws(() => verifyRecord(json(onlyWizard)), refused)
  const otherService = await signersOf(ca, 'dae')
  const asDae = await signRecord(recordBy(otherService), otherService)
  assert.throws(() => verifyRecord(json(asDae)), refused)
})

test('who makes all of it himself leads to his own CA, which is told', async () => {
  const own = await newCa('EC-P256', 'CN=Mallory')
  const mallory = await signersOf(own)
  const forged = await signRecord(recordBy(mallory), mallory)
  assert.equal(verifyRecord(json(forged)).caFingerprint, own.certificate.fingerprint256)
})

test('another algorithm, another header and what is no record are refused', () => {
  const [kms, wizard] = signed.signatures
  const head = (more: object) => part({ alg: 'ES256', typ: 'keyscaler-record', kid: 'x', ...more })
  for (const text of [
    '',
    '{}',
    'null',
    json({ ...signed, signatures: [wizard, kms] }),
    json({ ...signed, signatures: [{ ...kms, protected: head({ alg: 'none' }) }, wizard] }),
    json({ ...signed, signatures: [{ ...kms, protected: head({}) }, wizard] }),
    json({ ...signed, payload: part({ ...record, version: 2 }) })
  ]) {
    assert.throws(() => verifyRecord(text), { code: 'invalid-input' }, text)
  }
})

test('a record of a version that did not time its checks is as good as ever', async () => {
  const check = { id: 'memcached.servers-answer', title: 'Servers', verdict: 'pass', say: 'Yes.', ms: 1, skipped: null }
  const answered = { by: 'script', answeredAt: '', appliedAt: null, answers: {}, secretsKept: [] }
  const steps = [{ id: 'memcached', title: 'Memcached', revision: 1, ...answered, checks: [check] }]
  const old: InstallRecord = JSON.parse(JSON.stringify({ ...record, steps }))
  const verified = verifyRecord(json(await signRecord(old, signers)))
  assert.deepEqual(verified.record.steps[0]?.checks, [{ ...check, at: null }])
})
