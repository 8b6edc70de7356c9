import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { connect, createServer } from 'node:tls'
import { certsOnly } from './certs-only.ts'
import { fingerprint } from './fingerprint.ts'
import { newSerial } from './serial.ts'
import { selfSignedTls } from './software-key.ts'
import { file, newCa, openssl } from './testing.ts'
import { validity } from './validity.ts'

test("the wizard's own certificate serves TLS to who trusts just it, under each of its names", async () => {
  const { certificate, privateKey } = await selfSignedTls({
    names: ['wizard.example.com', '127.0.0.1', '::1'],
    days: 30
  })
  const server = createServer({ cert: certificate, key: privateKey, minVersion: 'TLSv1.3' }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const client = connect({ port: address.port, host: '127.0.0.1', ca: certificate })
  await once(client, 'secureConnect')
  assert.equal(client.authorized, true)
  client.destroy()
  server.close()
  const verify = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', file(certificate)]
  openssl(...verify, '-verify_hostname', 'wizard.example.com', file(certificate))
  openssl(...verify, '-verify_ip', '::1', file(certificate))
  assert.throws(() => openssl(...verify, '-verify_hostname', 'other.example.com', file(certificate)))
})

test('the fingerprint is the one that openssl prints', async () => {
  const { certificate } = await newCa()
  const printed = openssl('x509', '-in', file(certificate.toString()), '-noout', '-fingerprint', '-sha256')
  assert.equal(`sha256 Fingerprint=${fingerprint(certificate)}\n`, printed)
})

test('a certs-only message holds the certificates and nothing else', async () => {
  const [one, two] = [(await newCa()).certificate, (await newCa('EC-P384', 'CN=Other CA')).certificate]
  const path = file(certsOnly([one, two]))
  assert.deepEqual(certsOnly([two, one]), certsOnly([one, two]))
  const printed = openssl('pkcs7', '-inform', 'DER', '-in', path, '-print_certs')
  const found = printed
    .match(/-----BEGIN[A-Za-z0-9+/=\s-]*?-----END CERTIFICATE-----/g)
    ?.map((pem) => new X509Certificate(pem).fingerprint256)
  assert.deepEqual(new Set(found), new Set([one.fingerprint256, two.fingerprint256]))
  assert.match(openssl('cms', '-cmsout', '-print', '-noout', '-inform', 'DER', '-in', path), /signerInfos:\s+<EMPTY>/)
  // openssl writes it again as the same bytes: it was DER.
  const again = file('')
  openssl('pkcs7', '-inform', 'DER', '-in', path, '-outform', 'DER', '-out', again)
  assert.deepEqual(readFileSync(again), readFileSync(path))
})

test('serial numbers are positive, of sixteen octets, and do not come twice', () => {
  const serials = Array.from({ length: 10_000 }, () => newSerial())
  assert.ok(
    serials.every((serial) => serial.length === 16 && serial.readUInt8(0) >= 0x40 && serial.readUInt8(0) <= 0x7f)
  )
  assert.equal(new Set(serials.map((serial) => serial.toString('hex'))).size, serials.length)
})

test('a life begins a little before now and stays inside that of the issuer', async () => {
  const { certificate } = await newCa()
  const now = new Date()
  const free = validity(10, undefined, now)
  assert.ok(free.notBefore < now)
  assert.equal(free.notAfter.getTime() - free.notBefore.getTime(), 10 * 86_400_000 - 1000)
  assert.equal(validity(10, certificate).notBefore.getTime(), certificate.validFromDate.getTime())
  assert.equal(validity(36_000, certificate).notAfter.getTime(), certificate.validToDate.getTime())
  const after = new Date(certificate.validToDate.getTime() + 1000)
  assert.throws(() => validity(1, certificate, after), { code: 'invalid-input', message: /not valid now/ })
  for (const days of [0, -1, 1.5, 36_526, Number.NaN]) assert.throws(() => validity(days), { code: 'invalid-input' })
})
