import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { test } from 'node:test'
import { parseCsr } from './csr.ts'
import { bitString, oid, sequence, tags, tlv } from './der.ts'
import { formatName } from './name.ts'
import { file, newKeyPair, openssl } from './testing.ts'

const config = file(`
[req]
prompt = no
utf8 = yes
string_mask = utf8only
distinguished_name = name
attributes = attributes
[name]
C = GB
O = Größe, Ltd
CN = device-1
[attributes]
challengePassword = one-time secret é
[names]
subjectAltName = DNS:Device-1.Example.com, IP:10.0.0.7, IP:2001:db8:0::1, URI:urn:example:device:7, email:a@example.com
keyUsage = digitalSignature
[ca]
basicConstraints = critical, CA:TRUE
[sign]
keyUsage = keyCertSign
[not-ca]
basicConstraints = CA:FALSE
keyUsage = digitalSignature, keyEncipherment
[nul]
subjectAltName = DER:30:0c:82:0a:61:00:2e:65:78:61:6d:70:6c:65
`)
const ecKey = file(openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'))

function request(...args: readonly string[]): string {
  return openssl('req', '-new', '-config', config, '-key', ecKey, ...args)
}

const pem = request('-reqexts', 'names')
const der = Buffer.from(pem.replace(/-----.*-----|\s/g, ''), 'base64')

test('a request made by openssl is read: subject, challenge password, names, key and proof of possession', () => {
  const csr = parseCsr(pem)
  assert.equal(formatName(csr.subject), 'CN=device-1, O=Größe\\, Ltd, C=GB')
  assert.equal(csr.challengePassword, 'one-time secret é')
  assert.deepEqual(csr.requestedNames, {
    dnsNames: ['device-1.example.com'],
    ipAddresses: ['10.0.0.7', '2001:db8::1'],
    uris: ['urn:example:device:7'],
    others: 1
  })
  assert.equal(csr.publicKey.export({ type: 'spki', format: 'pem' }), openssl('pkey', '-in', ecKey, '-pubout'))
  assert.equal(csr.verify(), true)
})

test('the same request is read as DER, PEM, bytes of PEM, and base64 with or without line breaks', () => {
  const base64 = der.toString('base64')
  const forms = [
    der,
    pem,
    Buffer.from(pem),
    pem.replaceAll('\n', '\r\n'),
    base64,
    Buffer.from(base64),
    base64.replace(/(.{76})/g, '$1\r\n')
  ]
  for (const form of forms) assert.equal(parseCsr(form).verify(), true)
  assert.equal(parseCsr(pem.replaceAll('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')).verify(), true)
})

test('a request without attributes or names has none', () => {
  const csr = parseCsr(
    openssl('req', '-new', '-subj', '/', '-key', ecKey, '-config', file('[req]\ndistinguished_name=n\n[n]\n'))
  )
  assert.deepEqual(csr.subject, [])
  assert.equal(csr.challengePassword, null)
  assert.deepEqual(csr.requestedNames, { dnsNames: [], ipAddresses: [], uris: [], others: 0 })
})

test('every signature that a device may use proves possession', () => {
  const rsaKey = file(openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'))
  for (const hash of ['-sha256', '-sha384', '-sha512']) {
    assert.equal(parseCsr(request(hash)).verify(), true, `EC ${hash}`)
    assert.equal(
      parseCsr(openssl('req', '-new', '-config', config, '-key', rsaKey, hash)).verify(),
      true,
      `RSA ${hash}`
    )
  }
  for (const curve of ['P-384', 'P-521']) {
    const key = file(openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', `ec_paramgen_curve:${curve}`))
    assert.equal(parseCsr(openssl('req', '-new', '-config', config, '-key', key)).verify(), true, curve)
  }
  assert.throws(() => parseCsr(request('-sha1')), { code: 'invalid-input', message: /SHA-256/ })
  const pss = ['-sigopt', 'rsa_padding_mode:pss']
  assert.throws(() => parseCsr(openssl('req', '-new', '-config', config, '-key', rsaKey, ...pss)), {
    code: 'invalid-input'
  })
})

test('a broken signature, and one by another key, are no proof of possession', () => {
  const broken = Buffer.from(der)
  broken.writeUInt8(broken.readUInt8(broken.length - 1) ^ 1, broken.length - 1)
  assert.equal(parseCsr(broken).verify(), false)
  const renamed = Buffer.from(der)
  renamed.write('device-2', renamed.indexOf('device-1'))
  assert.equal(parseCsr(renamed).verify(), false)
})

test('a request to be a CA is refused, one that says it is none is not', () => {
  assert.throws(() => parseCsr(request('-reqexts', 'ca')), { code: 'invalid-input', message: /authority/ })
  assert.throws(() => parseCsr(request('-reqexts', 'sign')), { code: 'invalid-input', message: /authority/ })
  assert.equal(parseCsr(request('-reqexts', 'not-ca')).verify(), true)
})

test('names that read as other names are refused', () => {
  assert.throws(() => parseCsr(request('-reqexts', 'nul')), { code: 'invalid-input', message: /DNS name/ })
  assert.throws(() => parseCsr(request('-utf8', '-subj', '/CN=evil\u202egnp')), {
    code: 'invalid-input',
    message: /invisible/
  })
  assert.throws(() => parseCsr(request('-multivalue-rdn', '-subj', '/CN=a+O=b')), { message: /more than one value/ })
})

test('what comes twice, and an empty challenge password, is refused', () => {
  const extension = (id: string) => sequence(oid(id), tlv(tags.octetString, tlv(tags.null)))
  const requested = (...extensions: Buffer[]) =>
    sequence(oid('1.2.840.113549.1.9.14'), tlv(tags.set, sequence(...extensions)))
  const password = (value: string) =>
    sequence(oid('1.2.840.113549.1.9.7'), tlv(tags.set, tlv(tags.utf8String, Buffer.from(value))))
  assert.equal(craft(password('a'), requested(extension('1.2.3'), extension('1.2.4'))).verify(), true)
  assert.throws(() => craft(requested(extension('1.2.3'), extension('1.2.3'))), { message: /1\.2\.3 comes twice/ })
  assert.throws(() => craft(password('a'), password('b')), { message: /comes twice/ })
  assert.throws(() => craft(password('')), { message: /empty/ })
})

/** A request with these attributes and a good signature, made by hand: openssl makes none that is wrong in this way. */
function craft(...attributes: readonly Buffer[]): ReturnType<typeof parseCsr> {
  const { privateKey, publicKey } = newKeyPair('EC-P256')
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const info = sequence(tlv(tags.integer, Buffer.of(0)), sequence(), spki, tlv(0xa0, ...attributes))
  return parseCsr(sequence(info, sequence(oid('1.2.840.10045.4.3.2')), bitString(sign('sha256', info, privateKey))))
}

test('trailing data, a cut, other armour and oversize are refused with a reason', () => {
  const refused: ReadonlyArray<[string, string | Buffer, RegExp]> = [
    ['a byte more', Buffer.concat([der, Buffer.alloc(1)]), /data after its end/],
    ['a byte less', der.subarray(0, -1), /cut off/],
    ['nothing', '', /neither PEM/],
    ['no bytes', Buffer.alloc(0), /neither PEM/],
    ['two requests', pem + pem, /neither PEM/],
    ['text after the request', `${pem}hello`, /neither PEM/],
    ['a certificate', openssl('req', '-x509', '-config', config, '-key', ecKey), /neither PEM/],
    ['other base64', Buffer.from('hello world!').toString('base64'), /not valid/],
    ['a huge text', 'A'.repeat(40_000), /too long/],
    ['a huge DER', Buffer.concat([Buffer.of(0x30, 0x82, 0x7f, 0xff), Buffer.alloc(0x7fff)]), /too long/],
    ['an indefinite length', Buffer.concat([Buffer.of(0x30, 0x80), der.subarray(4), Buffer.alloc(2)]), /indefinite/],
    ['a length in long form', Buffer.concat([Buffer.of(0x30, 0x83, 0), der.subarray(2)]), /shortest/]
  ]
  for (const [what, input, message] of refused) {
    assert.throws(() => parseCsr(input), { name: 'AppError', code: 'invalid-input', message }, what)
  }
})

test('any single changed byte is refused or no longer verifies', () => {
  for (let at = 0; at < der.length; at++) {
    for (const flip of [0x01, 0x80, 0xff]) {
      const changed = Buffer.from(der)
      changed.writeUInt8(changed.readUInt8(at) ^ flip, at)
      let proved: boolean
      try {
        proved = parseCsr(changed).verify()
      } catch (error) {
        assert.equal((error as { code?: unknown }).code, 'invalid-input', `byte ${at}: ${error}`)
        continue
      }
      assert.equal(proved, false, `byte ${at}`)
    }
  }
})
