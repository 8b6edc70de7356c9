import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { chainsTo, verifyChain } from './chain.ts'
import { issueCertificate } from './issue.ts'
import { parseName } from './name.ts'
import { newSerial } from './serial.ts'
import { serviceRoleOf, serviceRoleUri } from './service-role.ts'
import { file, newCa, newKeyPair, openssl, type TestCa } from './testing.ts'
import { validity } from './validity.ts'

const ca = await newCa()
const stranger = await newCa()

function leafOf(issuer: TestCa, uris: readonly string[] = [serviceRoleUri('kms')]): Promise<X509Certificate> {
  return issueCertificate(
    {
      profile: 'service',
      subject: parseName('CN=kms'),
      publicKey: newKeyPair('EC-P256').publicKey,
      serial: newSerial(),
      ...validity(30, issuer.certificate),
      issuer: { certificate: issuer.certificate },
      dnsNames: ['kms.example.com'],
      ipAddresses: ['127.0.0.1', '2001:db8::1'],
      uris
    },
    issuer.signer
  )
}

const leaf = await leafOf(ca)

test('a certificate is trusted under its own CA and under no other of the same name', () => {
  assert.equal(chainsTo(leaf, [ca.certificate]), true)
  assert.equal(chainsTo(leaf, [stranger.certificate]), false)
  assert.equal(chainsTo(leaf, [stranger.certificate, ca.certificate]), true)
  assert.equal(chainsTo(leaf, []), false)
  const verdict = verifyChain({ certificate: leaf, anchors: [ca.certificate] })
  assert.deepEqual(verdict, { trusted: true, chain: [leaf, ca.certificate] })
})

test('time, name and purpose are each a verdict of their own', () => {
  const about = (question: object) => {
    const verdict = verifyChain({ certificate: leaf, anchors: [ca.certificate], ...question })
    return verdict.trusted || verdict.problem
  }
  assert.equal(about({ at: new Date(leaf.validFromDate.getTime() - 1) }), 'not-yet-valid')
  assert.equal(about({ at: leaf.validFromDate }), true)
  assert.equal(about({ at: leaf.validToDate }), true)
  assert.equal(about({ at: new Date(leaf.validToDate.getTime() + 1000) }), 'expired')
  assert.equal(about({ name: 'KMS.example.com', purpose: 'server' }), true)
  assert.equal(about({ name: '2001:db8:0::1', purpose: 'client' }), true)
  assert.equal(about({ name: 'kms' }), 'wrong-name')
  assert.equal(about({ name: 'dae.example.com' }), 'wrong-name')
  assert.equal(about({ name: '127.0.0.2' }), 'wrong-name')
  assert.equal(about({ certificate: ca.certificate, name: 'kms.example.com' }), 'wrong-name')
})

test('a path over CAs made by openssl is found, path length and unknown critical extensions are obeyed', () => {
  const made = opensslChain()
  const verdict = verifyChain({ certificate: made.leaf, between: [ca.certificate, made.middle], anchors: [made.root] })
  assert.deepEqual(verdict, { trusted: true, chain: [made.leaf, made.middle, made.root] })
  const untrusted = { trusted: false, problem: 'untrusted' }
  assert.deepEqual(verifyChain({ certificate: made.leaf, anchors: [made.root] }), untrusted)
  assert.deepEqual(
    verifyChain({ certificate: made.tooDeep, between: [made.middle, made.low], anchors: [made.root] }),
    untrusted
  )
  assert.deepEqual(verifyChain({ certificate: made.tooDeep, between: [made.low], anchors: [made.low] }).trusted, true)
  assert.deepEqual(verifyChain({ certificate: made.odd, anchors: [made.root] }), {
    trusted: false,
    problem: 'unreadable'
  })
})

test('countless paths over look-alike CAs do not keep us busy', async (t) => {
  // One key and name in many certificates: each seems to have signed each other.
  const key = newOpensslKey()
  const lookAlikes = Array.from(
    { length: 9 },
    () => opensslCertificate('look-alike', caExtensions, { key }).certificate
  )
  const [first, ...others] = lookAlikes
  assert.ok(first !== undefined)
  const verify = t.mock.method(X509Certificate.prototype, 'verify')
  const verdict = verifyChain({ certificate: first, between: others, anchors: [ca.certificate] })
  assert.deepEqual(verdict, { trusted: false, problem: 'untrusted' })
  assert.equal(verify.mock.callCount(), 50)
})

test('the service is read from its certificate, and only when there is exactly one', async () => {
  assert.equal(serviceRoleOf(leaf), 'kms')
  assert.equal(serviceRoleOf(ca.certificate), null)
  assert.equal(serviceRoleOf(await leafOf(ca, ['https://kms.example.com/', serviceRoleUri('dae')])), 'dae')
  assert.equal(serviceRoleOf(await leafOf(ca, [serviceRoleUri('dae'), serviceRoleUri('kms')])), null)
  assert.equal(serviceRoleOf(await leafOf(ca, ['urn:keyscaler:service:KMS'])), null)
  assert.throws(() => serviceRoleUri('kms, URI:urn:keyscaler:service:dae'), { code: 'invalid-input' })
})

const caExtensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign', 'subjectKeyIdentifier=hash']

function opensslCertificate(
  name: string,
  extensions: readonly string[],
  { issuer, key = newOpensslKey() }: { issuer?: { cert: string; key: string }; key?: string } = {}
): { cert: string; key: string; certificate: X509Certificate } {
  const cert = file('')
  const by = issuer === undefined ? [] : ['-CA', issuer.cert, '-CAkey', issuer.key]
  const added = extensions.flatMap((extension) => ['-addext', extension])
  const config = file('[req]\ndistinguished_name=n\n[n]\n')
  openssl(
    'req',
    '-x509',
    '-config',
    config,
    '-key',
    key,
    '-subj',
    `/CN=${name}`,
    '-days',
    '2',
    '-out',
    cert,
    ...by,
    ...added
  )
  return { cert, key, certificate: new X509Certificate(readFileSync(cert)) }
}

function newOpensslKey(): string {
  return file(openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'))
}

function opensslChain(): Record<'root' | 'middle' | 'low' | 'leaf' | 'tooDeep' | 'odd', X509Certificate> {
  const [, ...notBasic] = caExtensions
  const root = opensslCertificate('root', caExtensions)
  const middle = opensslCertificate('middle', ['basicConstraints=critical,CA:TRUE,pathlen:0', ...notBasic], {
    issuer: root
  })
  const low = opensslCertificate('low', caExtensions, { issuer: middle })
  return {
    root: root.certificate,
    middle: middle.certificate,
    low: low.certificate,
    leaf: opensslCertificate('leaf', [], { issuer: middle }).certificate,
    tooDeep: opensslCertificate('too deep', [], { issuer: low }).certificate,
    odd: opensslCertificate('odd', ['1.2.3.4=critical,DER:05:00'], { issuer: root }).certificate
  }
}
