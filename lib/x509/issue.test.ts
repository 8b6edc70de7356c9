import assert from 'node:assert/strict'
import { createHash, randomInt } from 'node:crypto'
import { test } from 'node:test'
import { issueCertificate } from './issue.ts'
import { encodeName, type Name, parseName } from './name.ts'
import { newSerial } from './serial.ts'
import { serviceRoleUri } from './service-role.ts'
import { file, newCa, newKeyPair, newSigner, openssl } from './testing.ts'
import { validity } from './validity.ts'

const device = newKeyPair('EC-P256').publicKey

function deviceRequest(ca: { certificate: import('node:crypto').X509Certificate }) {
  return {
    profile: 'device' as const,
    subject: parseName('CN=device-1'),
    publicKey: device,
    serial: newSerial(),
    ...validity(365, ca.certificate),
    issuer: { certificate: ca.certificate }
  }
}

for (const algorithm of ['EC-P256', 'EC-P384', 'RSA-3072'] as const) {
  test(`openssl strictly accepts a chain under an ${algorithm} CA, as a server and as a client`, async () => {
    const ca = await newCa(algorithm)
    const service = await issueCertificate(
      {
        ...deviceRequest(ca),
        profile: 'service',
        subject: parseName('CN=dae'),
        dnsNames: ['dae.example.com'],
        ipAddresses: ['127.0.0.1', '::1'],
        uris: [serviceRoleUri('dae')]
      },
      ca.signer
    )
    const leaf = await issueCertificate(deviceRequest(ca), ca.signer)
    const caFile = file(ca.certificate.toString())
    const verify = ['verify', '-x509_strict', '-check_ss_sig', '-CAfile', caFile]
    const servicePem = file(service.toString())
    openssl(...verify, '-purpose', 'sslserver', '-verify_hostname', 'dae.example.com', servicePem)
    openssl(...verify, '-purpose', 'sslserver', '-verify_ip', '::1', servicePem)
    openssl(...verify, '-purpose', 'sslclient', servicePem, file(leaf.toString()))
    assert.throws(
      () => openssl(...verify, '-purpose', 'sslserver', file(leaf.toString())),
      /unsuitable certificate purpose/i
    )
  })
}

test('a CA certificate holds what RFC 5280 asks of a CA, and nothing more', async () => {
  const { certificate } = await newCa()
  const shown = openssl(
    'x509',
    '-in',
    file(certificate.toString()),
    '-noout',
    '-ext',
    'basicConstraints,keyUsage,extendedKeyUsage'
  )
  assert.match(shown, /Basic Constraints: critical\s+CA:TRUE, pathlen:0/)
  assert.match(shown, /Key Usage: critical\s+Certificate Sign, CRL Sign\n/)
  assert.doesNotMatch(shown, /Extended/)
  // X.690 11.2.2: the unused bits are counted and not written, which openssl would let pass.
  assert.ok(certificate.raw.includes(Buffer.from('040403020106', 'hex')))
})

test('a device certificate is a client only, names its issuer byte for byte and has no basic constraints', async () => {
  const ca = await newCa('EC-P256', 'CN=Größe CA, O=Example, C=GB')
  const request = deviceRequest(ca)
  const leaf = await issueCertificate(request, ca.signer)
  const shown = openssl('x509', '-in', file(leaf.toString()), '-noout', '-text')
  assert.match(shown, /Version: 3 /)
  assert.match(shown, /Key Usage: critical\s+Digital Signature\n/)
  assert.match(shown, /Extended Key Usage: \n\s+TLS Web Client Authentication\n/)
  assert.doesNotMatch(shown, /Basic Constraints|Alternative Name/)
  assert.ok(leaf.raw.includes(Buffer.from('040403020780', 'hex')))
  assert.ok(leaf.checkIssued(ca.certificate))
  assert.ok(leaf.raw.includes(encodeName(parseName('CN=Größe CA, O=Example, C=GB'))))
  assert.equal(leaf.serialNumber, request.serial.toString('hex').toUpperCase())
  assert.equal(leaf.validToDate.getTime() - leaf.validFromDate.getTime(), 365 * 86_400_000 - 1000)
  const [skid] = /(?<=Subject Key Identifier: \n\s+)[0-9A-F:]+/.exec(shown) ?? []
  const point = device.export({ type: 'spki', format: 'der' }).subarray(-65)
  assert.equal(skid?.replaceAll(':', '').toLowerCase(), createHash('sha256').update(point).digest('hex').slice(0, 40))
})

test('a device without a subject has critical alternative names', async () => {
  const ca = await newCa()
  const leaf = await issueCertificate({ ...deviceRequest(ca), subject: [], uris: ['urn:example:device:7'] }, ca.signer)
  const shown = openssl('x509', '-in', file(leaf.toString()), '-noout', '-ext', 'subjectAltName')
  assert.match(shown, /Alternative Name: critical\s+URI:urn:example:device:7/)
  openssl('verify', '-x509_strict', '-CAfile', file(ca.certificate.toString()), file(leaf.toString()))
  await assert.rejects(issueCertificate({ ...deviceRequest(ca), subject: [] }, ca.signer), { code: 'invalid-input' })
})

test('dates are UTCTime through 2049 and GeneralizedTime after, to the end of time', async () => {
  const signer = newSigner('EC-P256')
  const ca = {
    signer,
    certificate: await issueCertificate(
      {
        profile: 'tenant-ca',
        subject: parseName('CN=For ever'),
        publicKey: signer.publicKey,
        serial: newSerial(),
        notBefore: new Date('2020-01-01T00:00:00Z'),
        notAfter: new Date('9999-12-31T23:59:59Z')
      },
      signer
    )
  }
  const until = async (notAfter: string) =>
    issueCertificate({ ...deviceRequest(ca), notAfter: new Date(notAfter) }, ca.signer)
  assert.ok((await until('2049-12-31T23:59:59.999Z')).raw.includes('\x17\x0d491231235959Z'))
  assert.ok((await until('2050-01-01T00:00:00Z')).raw.includes('\x18\x0f20500101000000Z'))
  assert.ok((await until('9999-12-31T23:59:59Z')).raw.includes('\x18\x0f99991231235959Z'))
  openssl(
    'verify',
    '-x509_strict',
    '-CAfile',
    file(ca.certificate.toString()),
    file((await until('9999-12-31T23:59:59Z')).toString())
  )
})

test('what a CA must never sign is refused before the token is asked', async () => {
  const ca = await newCa()
  let signatures = 0
  const signer = {
    ...ca.signer,
    sign: (tbs: Uint8Array) => {
      signatures += 1
      return ca.signer.sign(tbs)
    }
  }
  const end = ca.certificate.validToDate.getTime()
  const refused: ReadonlyArray<[string, Partial<Parameters<typeof issueCertificate>[0]>, RegExp]> = [
    ['a life beyond the CA', { notAfter: new Date(end + 1000) }, /not inside/],
    ['a life before the CA', { notBefore: new Date(ca.certificate.validFromDate.getTime() - 1000) }, /not inside/],
    [
      'an end before the beginning',
      { notBefore: new Date(end), notAfter: new Date(end - 1000) },
      /end before it begins/
    ],
    ['no date at all', { notAfter: new Date(Number.NaN) }, /end before it begins/],
    ['a CA below a CA', { profile: 'tenant-ca' }, /path length 0/],
    ["the CA's own key", { publicKey: ca.signer.publicKey }, /own key or name/],
    ["the CA's own name", { subject: parseName('CN=Example Device CA, O=Example, C=GB') }, /own key or name/],
    ['a service role for a device', { uris: [serviceRoleUri('kms')] }, /Only a service/],
    ['a service role in other letters', { uris: ['URN:KeyScaler:service:kms'] }, /Only a service/],
    ['a wildcard', { dnsNames: ['*.example.com'] }, /DNS name/],
    ['a DNS name with NUL', { dnsNames: ['a.example.com\0.evil.com'] }, /DNS name/],
    ['an IP address as DNS name', { dnsNames: ['127.0.0.1'] }, /DNS name/],
    ['a scoped address', { ipAddresses: ['fe80::1%eth0'] }, /IP address/],
    ['a relative URI', { uris: ['device/7'] }, /URI/],
    ['a service without names', { profile: 'service' }, /alternative name/],
    ['a short serial', { serial: Buffer.alloc(7, 1) }, /serial/],
    ['a long serial', { serial: Buffer.alloc(21, 1) }, /serial/],
    ['a negative serial', { serial: Buffer.alloc(16, 0x80) }, /serial/],
    ['a padded serial', { serial: Buffer.concat([Buffer.alloc(1), Buffer.alloc(15, 1)]) }, /serial/],
    ['a self-signed device', { issuer: undefined, publicKey: ca.signer.publicKey }, /signed by itself/],
    ['a CA-signed wizard', { profile: 'wizard-tls', dnsNames: ['a.example'] }, /signed by itself/]
  ]
  for (const [what, change, message] of refused) {
    await assert.rejects(
      issueCertificate({ ...deviceRequest(ca), ...change }, signer),
      { name: 'AppError', message },
      what
    )
  }
  assert.equal(signatures, 0)
})

test('a device certificate cannot issue', async () => {
  const ca = await newCa()
  const leafKey = newSigner('EC-P256')
  const leaf = await issueCertificate({ ...deviceRequest(ca), publicKey: leafKey.publicKey }, ca.signer)
  await assert.rejects(
    issueCertificate({ ...deviceRequest(ca), issuer: { certificate: leaf } }, leafKey),
    /not that of a CA/
  )
})

test('a signer whose key is not the one of the issuing certificate is found before it signs', async () => {
  const ca = await newCa()
  await assert.rejects(issueCertificate(deviceRequest(ca), newSigner('EC-P256')), { code: 'internal' })
})

test('a signature that does not verify never leaves', async () => {
  const ca = await newCa()
  const other = newSigner('EC-P256')
  await assert.rejects(issueCertificate(deviceRequest(ca), { ...ca.signer, sign: other.sign }), {
    code: 'internal',
    message: /does not verify/
  })
  await assert.rejects(issueCertificate(deviceRequest(ca), { ...ca.signer, sign: async () => new Uint8Array(70) }), {
    code: 'internal'
  })
})

test('what the key store throws reaches the caller as it is', async () => {
  const ca = await newCa()
  const gone = new Error('token gone')
  await assert.rejects(
    issueCertificate(deviceRequest(ca), { ...ca.signer, sign: () => Promise.reject(gone) }),
    (thrown) => thrown === gone
  )
})

test('openssl reads back three hundred random names, serials and dates as they were meant', async () => {
  const ca = await newCa()
  const made = []
  for (let i = 0; i < 300; i++) {
    const subject = randomName()
    const serial =
      i % 2 === 0
        ? newSerial()
        : Buffer.concat([Buffer.of(randomInt(1, 128)), newSerial().subarray(0, randomInt(7, 17))])
    const dnsNames = Array.from({ length: randomInt(0, 4) }, (_, n) => `host-${n}.${randomInt(1e6)}.example`)
    const { notBefore } = validity(1, ca.certificate)
    const notAfter = new Date(randomInt(notBefore.getTime(), ca.certificate.validToDate.getTime()))
    const certificate = await issueCertificate(
      { ...deviceRequest(ca), subject, serial, dnsNames, notBefore, notAfter },
      ca.signer
    )
    made.push({ subject, serial, dnsNames, notBefore, notAfter, certificate })
  }
  // Two processes for all: openssl takes 20 ms to start. verify prints names without ambiguity, storeutl the rest.
  const files = made.map(({ certificate }) => file(certificate.toString()))
  const trust = ['-x509_strict', '-CAfile', file(ca.certificate.toString())]
  const verdicts = openssl('verify', ...trust, '-show_chain', '-nameopt', 'RFC2253', ...files)
  const names = [...verdicts.matchAll(/: OK\nChain:\ndepth=0: (.*) \(untrusted\)$/gm)]
  const prints = openssl(
    'storeutl',
    '-certs',
    '-noout',
    '-text',
    file(made.map(({ certificate }) => certificate.toString()).join(''))
  )
    .split('Certificate:\n')
    .slice(1)
  assert.equal(names.length, made.length)
  assert.equal(prints.length, made.length)
  for (const [i, { subject, serial, dnsNames, notBefore, notAfter }] of made.entries()) {
    const print = prints[i] ?? ''
    assert.deepEqual(parseName(names[i]?.[1] ?? ''), subject)
    const [, shown = ''] = /Serial Number:([\s0-9a-f:()x]+)/.exec(print) ?? []
    assert.equal(BigInt(`0x${shown.replace(/.*\(0x|[^0-9a-f]/g, '')}`), BigInt(`0x${serial.toString('hex')}`))
    assert.equal(Date.parse(/Not Before: (.*)/.exec(print)?.[1] ?? ''), notBefore.getTime())
    assert.equal(Date.parse(/Not After : (.*)/.exec(print)?.[1] ?? ''), Math.floor(notAfter.getTime() / 1000) * 1000)
    assert.deepEqual(
      [...print.matchAll(/DNS:([^,\n]+)/g)].map(([, name]) => name),
      dnsNames
    )
  }
})

function randomName(): Name {
  const alphabet = [...'abcXYZ019 +,;<>#="\\\'/.:*&@äßœ日本語Ωж😀']
  const value = (max: number) => {
    const text = Array.from({ length: randomInt(1, max) }, () => alphabet[randomInt(alphabet.length)]).join('')
    // openssl 3.0 forgets to escape a value that is nothing but #.
    return text.trim().replace(/^#?$/, 'x')
  }
  const types = ['O', 'OU', 'L', 'ST', 'STREET', 'UID', 'title'].filter(() => randomInt(2) === 1)
  return [
    { type: 'C', value: 'GB' },
    ...types.map((type) => ({ type, value: value(60) })),
    { type: 'CN', value: value(60) }
  ]
}
