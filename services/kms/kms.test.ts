import assert from 'node:assert/strict'
import { createPublicKey, randomBytes, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { before, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import type { KmsClient } from '../../lib/kms-client/kms-client.ts'
import { serviceRoleOf } from '../../lib/x509/service-role.ts'
import { file, openssl } from '../../lib/x509/testing.ts'
import { newInstall, type RunningKms, type TestInstall } from './testing.ts'

let install: TestInstall
let kms: RunningKms
let wizard: KmsClient
let dae: KmsClient
let cp: KmsClient

before(async () => {
  install = await newInstall('gemalto-safenet')
  kms = await install.start()
  await kms.listening()
  wizard = kms.client('wizard')
  dae = kms.client('dae')
  cp = kms.client('cp')
})

const subject = 'CN=Example Device CA, O=Example, C=GB'
const ca = (tenant: string) => wizard.createTenantCa({ tenant, subject, algorithm: 'EC-P256', days: 3650 })
const device = () => ({ csr: csr('device-1'), commonName: 'device-1', serial: serial(), days: 365 })
const serial = () => `4${randomBytes(16).toString('hex').slice(1).toUpperCase()}`

test('it is ready, names its key store, and says so without a certificate', async () => {
  const health = await wizard.health()
  assert.equal(health.ready, true)
  assert.match(health.detail, /keyStore: open; database: answers/)
  assert.equal((await call('GET', '/readyz')).status, 200)
  const metrics = await call('GET', '/metrics')
  assert.match(metrics.text, /keyscaler_kms_key_store_open 1/)
})

test('every route asks for a certificate of the internal CA, and for the role that it is for', async () => {
  const nobody = await call('POST', '/v1/tenant-keys', undefined, { tenant: 'Example' })
  assert.equal(nobody.status, 401)
  const stranger = await call('POST', '/v1/tenant-keys', foreign(), { tenant: 'Example' })
  assert.equal(stranger.status, 401)
  const keyId = '0'.repeat(32)
  await assert.rejects(dae.createTenantKey('Example'), { code: 'forbidden' })
  await assert.rejects(dae.createTenantCa({ tenant: 'Example', subject, algorithm: 'EC-P256', days: 1 }), {
    code: 'forbidden'
  })
  await assert.rejects(wizard.issueDeviceCertificate(keyId, device()), { code: 'forbidden' })
  await assert.rejects(cp.issueDeviceCertificate(keyId, device()), { code: 'forbidden' })
  await assert.rejects(
    dae.issueServiceCertificate({ service: 'cp', csr: csr('x'), dnsNames: ['x'], ipAddresses: [] }),
    { code: 'forbidden' }
  )
  await assert.rejects(dae.listKeys(), { code: 'forbidden' })
})

test('a device certificate under a tenant CA: openssl accepts the chain, and the profile decided everything', async () => {
  const { keyId, certificate } = await ca('Example')
  assert.deepEqual(await ca('Example'), { keyId, certificate })
  const wanted = device()
  const pem = await dae.issueDeviceCertificate(keyId, wanted)
  const caFile = file(certificate)
  const verified = openssl(
    'verify',
    '-x509_strict',
    '-check_ss_sig',
    '-purpose',
    'sslclient',
    '-CAfile',
    caFile,
    file(pem)
  )
  assert.match(verified, /: OK/)
  const issued = new X509Certificate(pem)
  assert.equal(issued.serialNumber, wanted.serial)
  assert.equal(issued.subject, 'CN=device-1')
  assert.equal(issued.ca, false)
  assert.equal(issued.subjectAltName, undefined)
  assert.ok(issued.publicKey.equals(createPublicKey(openssl('req', '-in', file(wanted.csr), '-noout', '-pubkey'))))
  const [key] = (await wizard.listKeys()).filter((one) => one.purpose === 'tenant-ca' && one.tenant === 'Example')
  assert.deepEqual([key?.id, key?.state, key?.algorithm], [keyId, 'active', 'EC-P256'])
})

test('a device certificate never outlives its CA', async () => {
  const short = await wizard.createTenantCa({ tenant: 'Short', subject, algorithm: 'EC-P384', days: 2 })
  const issued = new X509Certificate(await dae.issueDeviceCertificate(short.keyId, device()))
  assert.equal(issued.validTo, new X509Certificate(short.certificate).validTo)
})

test('what a request for a device may not have is refused, and named by its field', async () => {
  const { keyId } = await ca('Example')
  const forged = Buffer.from(csr('device-1').replace(/-----[^-]*-----|\s/g, ''), 'base64')
  forged.writeUInt8(forged.readUInt8(forged.length - 1) ^ 1, forged.length - 1)
  const refusals: [Partial<ReturnType<typeof device>>, RegExp][] = [
    [{ csr: 'nonsense' }, /certificate request/],
    [{ csr: forged.toString('base64') }, /not signed with its own key/],
    [{ commonName: 'a\u202egnp' }, /invisible/],
    [{ commonName: '' }, /commonName/],
    [{ serial: `00${serial().slice(2)}` }, /serial/],
    [{ serial: `F${serial().slice(1)}` }, /serial/],
    [{ days: 0 }, /days/],
    [{ csr: csr('device-1', 'basicConstraints=critical,CA:TRUE') }, /asks to be a certificate authority/]
  ]
  for (const [change, message] of refusals) {
    await assert.rejects(dae.issueDeviceCertificate(keyId, { ...device(), ...change }), {
      code: 'invalid-input',
      message
    })
  }
  const unknown = await call('POST', `/v1/cas/${keyId}/device-certificates`, identity('dae'), { ...device(), subject })
  assert.equal(unknown.status, 422)
})

test('only a tenant CA signs for devices: neither the service CA nor the master key nor an unknown one', async () => {
  const keys = await wizard.listKeys()
  const others = keys.filter((key) => key.purpose !== 'tenant-ca').map((key) => key.id)
  assert.ok(others.length >= 2)
  for (const id of [...others, 'f'.repeat(32)]) {
    await assert.rejects(dae.issueDeviceCertificate(id, device()), { code: 'not-found' })
  }
})

test('a tenant has one CA: another subject or algorithm is a conflict', async () => {
  await ca('Example')
  await assert.rejects(
    wizard.createTenantCa({ tenant: 'Example', subject: 'CN=Other', algorithm: 'EC-P256', days: 1 }),
    { code: 'conflict' }
  )
  await assert.rejects(wizard.createTenantCa({ tenant: 'Example', subject, algorithm: 'RSA-3072', days: 1 }), {
    code: 'conflict'
  })
})

test('no route signs what a caller sends', async () => {
  const { keyId } = await ca('Example')
  const digest = randomBytes(32).toString('base64')
  for (const path of ['sign', 'signatures', `keys/${keyId}/sign`, `cas/${keyId}/sign`, 'decrypt', 'wrap']) {
    assert.equal((await call('POST', `/v1/${path}`, identity('wizard'), { keyId, digest, data: digest })).status, 404)
  }
})

test('a service certificate has the role, the names and nothing else that was asked for', async () => {
  const wanted = { service: 'dae', csr: csr('anything'), dnsNames: ['dae.example.com'], ipAddresses: ['127.0.0.1'] }
  const { certificate, ca: issuer } = await wizard.issueServiceCertificate(wanted)
  const names = ['-verify_hostname', 'dae.example.com', '-purpose', 'sslserver']
  assert.match(openssl('verify', '-x509_strict', ...names, '-CAfile', file(issuer), file(certificate)), /: OK/)
  assert.equal(serviceRoleOf(new X509Certificate(certificate)), 'dae')
  assert.equal(issuer, readFileSync(install.serviceCa.certificate, 'utf8'))
  await assert.rejects(wizard.issueServiceCertificate({ ...wanted, service: 'root' }), { code: 'invalid-input' })
  await assert.rejects(wizard.issueServiceCertificate({ ...wanted, dnsNames: [], ipAddresses: [] }), {
    code: 'invalid-input'
  })
})

test('a data key opens again for its context, and for no other', async () => {
  const { plaintext, wrapped } = await dae.newDataKey('participants/Example')
  assert.equal(plaintext.length, 32)
  assert.ok('v' in wrapped)
  assert.deepEqual(
    wrapped.layers.map(({ key, keyVersion, mechanism }) => [key, keyVersion, mechanism]),
    [[install.masterKey, 1, 'CKM_AES_GCM']]
  )
  assert.deepEqual(wrapped.aad, { table: 'data_keys', row: 'participants/Example', tenant: null })
  assert.deepEqual(await cp.unwrapDataKey(wrapped, 'participants/Example'), plaintext)
  await assert.rejects(cp.unwrapDataKey(wrapped, 'participants/Other'), { code: 'invalid-input' })
  const [layer] = wrapped.layers
  assert.ok(layer)
  const others = [{ key: 'a'.repeat(32) }, { keyVersion: 2 }, { ivMode: 'token-iv' as const, iv: '' }, { iv: 'AAAA' }]
  for (const other of others) {
    const named = { ...wrapped, layers: [{ ...layer, ...other }] }
    await assert.rejects(cp.unwrapDataKey(named, 'participants/Example'), { code: 'invalid-input' })
  }
  const changed = Buffer.from(wrapped.data, 'base64')
  changed.writeUInt8(changed.readUInt8(0) ^ 1, 0)
  await assert.rejects(cp.unwrapDataKey({ ...wrapped, data: changed.toString('base64') }, 'participants/Example'), {
    code: 'invalid-input'
  })
  const other = await dae.newDataKey('participants/Example')
  assert.notDeepEqual(other.plaintext, plaintext)
})

test('the tenant key is made once, in the token', async () => {
  const key = await wizard.createTenantKey('Example')
  assert.deepEqual(await wizard.createTenantKey('Example'), key)
  assert.deepEqual([key.purpose, key.algorithm, key.tenant, key.state], ['tenant', 'AES-256', 'Example', 'active'])
  await assert.rejects(wizard.createTenantKey('a b'), { code: 'invalid-input' })
})

test('every use of a key is on record, refused ones too, with who asked', async () => {
  await dae.newDataKey('audited')
  const { wrapped } = await cp.newDataKey('audited-too')
  await assert.rejects(dae.unwrapDataKey(wrapped, 'audited-wrong'))
  const [rows] = await install.database.pool.query<RowDataPacket[]>(
    `SELECT actor, action, subject, outcome FROM kms_audit WHERE subject LIKE 'audited%' ORDER BY id`
  )
  assert.deepEqual(
    rows.map(({ actor, action, subject, outcome }) => [actor, action, subject, outcome]),
    [
      ['dae', 'data-key.create', 'audited', 'done'],
      ['cp', 'data-key.create', 'audited-too', 'done'],
      ['dae', 'data-key.unwrap', 'audited-wrong', 'invalid-input']
    ]
  )
})

test('no secret is in anything that it printed', async () => {
  const { plaintext, wrapped } = await dae.newDataKey('log')
  await dae.unwrapDataKey(wrapped, 'log')
  const output = kms.output()
  for (const secret of [
    install.token.pin,
    install.login.password,
    plaintext.toString('base64'),
    plaintext.toString('hex')
  ]) {
    assert.ok(secret.length > 8)
    assert.ok(!output.includes(secret))
  }
})

interface Identity {
  readonly certificate: string
  readonly key: string
}
const identity = (role: 'wizard' | 'dae'): Identity => install.identity(role)

/** A certificate that names the role, of a CA that is not ours. */
function foreign(): Identity {
  const key = openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256')
  const keyFile = file(key)
  const name = ['-subj', '/CN=wizard', '-addext', 'subjectAltName=URI:urn:keyscaler:service:wizard']
  return { certificate: file(openssl('req', '-x509', '-new', '-key', keyFile, '-days', '1', ...name)), key: keyFile }
}

function csr(name: string, extension?: string): string {
  const key = file(openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'))
  const more = extension === undefined ? [] : ['-addext', extension]
  return openssl('req', '-new', '-key', key, '-subj', `/CN=${name}`, ...more)
}

/** Without our client, to see what is really answered. */
function call(method: string, path: string, by?: Identity, body?: unknown): Promise<{ status: number; text: string }> {
  const credentials = by === undefined ? {} : { cert: readFileSync(by.certificate), key: readFileSync(by.key) }
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    const sent = request(
      new URL(path, kms.address),
      { method, headers, ca: readFileSync(install.serviceCa.certificate), agent: false, ...credentials },
      async (response) => {
        const chunks: Buffer[] = []
        for await (const chunk of response) chunks.push(chunk)
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() })
      }
    )
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
