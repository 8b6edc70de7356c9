import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { before, test } from 'node:test'
import { promisify } from 'node:util'
import { file, openssl } from '../../lib/x509/testing.ts'
import type { RunningService } from '../testing/service-process.ts'
import { challenged, enrolBound } from './testing/bound-device.ts'
import { certificateIn, enrol, newKey, requestFor } from './testing/device.ts'
import { type DaeInstall, newDae } from './testing/install.ts'

let install: DaeInstall
let dae: RunningService
before(async () => {
  install = await newDae()
  dae = await install.start()
})

const register = (name: string) => install.register(dae, name)
const est = '/.well-known/est'

/** What the request changed, by table. */
async function changes(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const earlier = await install.counts()
  await work()
  const later = await install.counts()
  const all = Object.keys(later) as (keyof typeof later)[]
  return Object.fromEntries(all.map((name) => [name, later[name] - earlier[name]]).filter(([, change]) => change !== 0))
}
const oneEnrolment = { signatures: 1, issued: 1, devices: 1, used: 1, events: 1 }

test('/cacerts is the tenant CA, as openssl reads it, with and without the label', async () => {
  for (const path of [`${est}/cacerts`, `${est}/acme/cacerts`]) {
    const answer = await dae.ask(path)
    assert.equal(answer.headers['content-type'], 'application/pkcs7-mime')
    assert.equal(answer.headers['content-transfer-encoding'], undefined)
    assert.ok(certificateIn(answer).raw.equals(new X509Certificate(install.caPem).raw))
  }
  assert.equal((await dae.ask(`${est}/other/cacerts`)).status, 404)
})

test('openssl and curl: a P-256 device gets a certificate that chains, with its name and the profile’s extensions', async () => {
  const secret = await register('device-1')
  const key = newKey()
  const csr = openssl(
    'req',
    '-new',
    '-key',
    key,
    '-subj',
    '/O=Evil/CN=device-1',
    '-outform',
    'DER',
    '-out',
    `${key}.csr`
  )
  assert.equal(csr, '')
  const body = file(openssl('base64', '-in', `${key}.csr`))
  const netrc = file(`machine 127.0.0.1 login device-1 password ${secret}\n`)
  const der = file('')
  const changed = await changes(async () => {
    const posted = ['--data-binary', `@${body}`, '-H', 'Content-Type: application/pkcs10', '--netrc-file', netrc]
    const answer = await curl(...posted, '-D', der, `${dae.address}${est}/acme/simpleenroll`)
    assert.match(readFileSync(der, 'utf8'), /content-type: application\/pkcs7-mime; smime-type=certs-only/i)
    const certificate = certificateIn({ status: 200, text: answer })
    const pem = file(certificate.toString())
    const verified = openssl(
      'verify',
      '-x509_strict',
      '-check_ss_sig',
      '-purpose',
      'sslclient',
      '-CAfile',
      install.caFile,
      pem
    )
    assert.match(verified, /: OK/)
    const subject = openssl('x509', '-in', pem, '-noout', '-subject', '-nameopt', 'RFC2253')
    assert.equal(subject.trim(), 'subject=CN=device-1')
    const extensions = openssl('x509', '-in', pem, '-noout', '-ext', 'keyUsage,extendedKeyUsage')
    assert.match(extensions, /Key Usage: critical\n\s+Digital Signature\n/)
    assert.match(extensions, /Extended Key Usage: ?\n\s+TLS Web Client Authentication\n/)
    assert.equal(openssl('x509', '-in', pem, '-noout', '-pubkey'), openssl('pkey', '-in', key, '-pubout'))
    const days = (certificate.validToDate.getTime() - Date.now()) / 86_400_000
    assert.ok(days > 364 && days < 366, `${days} days`)
    const [row] = await install.sql('SELECT payload, topic, event_key, type FROM outbox ORDER BY id DESC LIMIT 1')
    const { notAfter, serial, ...payload } = jsonOf(row?.payload)
    assert.deepEqual([row?.topic, row?.event_key, row?.type], ['keyscaler.devices', 'device-1', 'device.enrolled'])
    assert.equal(serial, certificate.serialNumber)
    assert.equal(notAfter, certificate.validToDate.toISOString())
    assert.deepEqual([payload.device, payload.tenant], ['device-1', 'Example'])
  })
  assert.deepEqual(changed, oneEnrolment)
  const { devices } = JSON.parse((await dae.ask('/api/v1/devices', { by: install.identity('cp') })).text)
  assert.equal(devices.length, 1)
  assert.equal(devices[0].name, 'device-1')
  assert.equal(devices[0].state, 'issued')
})

test('base64 may come with or without line breaks, or as PEM', async () => {
  const key = newKey()
  const whole = requestFor('lines-1', key)
  assert.ok(!whole.includes('\n'))
  const bodies = {
    'lines-1': whole,
    'lines-2': `${requestFor('lines-2', key)
      .match(/.{1,64}/g)
      ?.join('\r\n')}\r\n`,
    'lines-3': openssl('req', '-new', '-key', key, '-subj', '/CN=lines-3')
  }
  for (const [name, csr] of Object.entries(bodies)) {
    const certificate = certificateIn(await enrol(dae, { name, secret: await register(name), csr }))
    assert.equal(certificate.subject, `CN=${name}`)
  }
})

const pkiNeeds = [
  '/usr/bin/pki',
  '/usr/lib/ipsec/plugins/libstrongswan-curl.so',
  '/usr/lib/ipsec/plugins/libstrongswan-openssl.so'
]
const whyNoPki = pkiNeeds.every((path) => existsSync(path))
  ? false
  : 'strongSwan’s EST client needs the packages strongswan-pki, libstrongswan-standard-plugins and libstrongswan-extra-plugins'
test('strongSwan’s own EST client fetches the CA and enrols', { skip: whyNoPki }, async () => {
  const secret = await register('swan-1')
  const key = newKey()
  const csr = file(await pki('--req', '--in', key, '--type', 'priv', '--dn', 'CN=swan-1'))
  const tls = ['--cacert', install.config.identity.ca]
  const ca = (await pki('--estca', '--url', dae.address, ...tls, '--outform', 'pem')).toString()
  assert.ok(new X509Certificate(ca).raw.equals(new X509Certificate(install.caPem).raw))
  const caFile = file(ca)
  const enrolled = await pki(
    '--est',
    '--url',
    dae.address,
    ...tls,
    '--cacert',
    caFile,
    '--in',
    csr,
    '--userpass',
    `swan-1:${secret}`
  )
  const certificate = file(new X509Certificate(enrolled).toString())
  assert.match(openssl('verify', '-x509_strict', '-CAfile', install.caFile, certificate), /: OK/)
  assert.match((await pki('--verify', '--in', certificate, '--cacert', caFile)).toString(), /certificate trusted/)
})

test('what a request asks for beyond its key is overridden, and a CA is refused', async () => {
  const secret = await register('humble-1')
  for (const asked of ['basicConstraints=critical,CA:TRUE', 'keyUsage=keyCertSign']) {
    const csr = requestFor('humble-1', newKey(), '-addext', asked)
    const answer = await enrol(dae, { name: 'humble-1', secret, csr })
    assert.deepEqual(
      [answer.status, answer.text],
      [400, 'The certificate request asks to be a certificate authority.\n']
    )
  }
  const names = 'subjectAltName=DNS:bank.example,URI:urn:keyscaler:service:cp'
  const csr = requestFor('humble-1', newKey(), '-addext', names, '-addext', 'extendedKeyUsage=serverAuth')
  const certificate = certificateIn(await enrol(dae, { name: 'humble-1', secret, csr }))
  assert.equal(certificate.subjectAltName, undefined)
  assert.equal(certificate.ca, false)
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2'])
})

test('credentials that are not good now are all refused alike, and nothing is signed', async () => {
  const secrets = { used: await register('gone-1'), late: await register('late-1'), right: await register('right-1') }
  assert.equal((await enrol(dae, { name: 'gone-1', secret: secrets.used })).status, 200)
  await install.sql(`UPDATE registrations SET expires_at = '2020-01-01' WHERE device_name = 'late-1'`)
  const refused = {
    wrong: { name: 'right-1', secret: `${secrets.right}x` },
    used: { name: 'gone-1', secret: secrets.used },
    expired: { name: 'late-1', secret: secrets.late },
    unknown: { name: 'nobody-1', secret: secrets.right },
    'of another': { name: 'late-1', secret: secrets.right },
    empty: { name: 'right-1', secret: '' }
  }
  const changed = await changes(async () => {
    for (const [what, credentials] of Object.entries(refused)) {
      const answer = await enrol(dae, credentials)
      assert.equal(answer.status, 401, what)
      assert.equal(answer.headers['www-authenticate'], 'Basic realm="KeyScaler EST", charset="UTF-8"')
      assert.equal(answer.text, 'Device name or enrolment secret is not valid.\n', what)
    }
    for (const authorization of [
      'Basic !',
      'Bearer x',
      'Basic ',
      `Basic ${Buffer.from('no-colon').toString('base64')}`
    ]) {
      const answer = await dae.ask(`${est}/simpleenroll`, {
        body: requestFor('right-1'),
        headers: { 'content-type': 'application/pkcs10', authorization }
      })
      assert.equal(answer.status, 401, authorization)
    }
    const none = await dae.ask(`${est}/simpleenroll`, { method: 'POST' })
    assert.deepEqual([none.status, 'www-authenticate' in none.headers], [401, true])
  })
  assert.deepEqual(changed, {})
})

test('requests that are not acceptable are 400, 413 or 415, nothing is signed, and the secret stays good', async () => {
  const [name, secret] = ['careful-1', await register('careful-1')]
  const broken = Buffer.from(requestFor(name), 'base64')
  broken.writeUInt8(broken.readUInt8(broken.length - 1) ^ 1, broken.length - 1)
  const bodies: [csr: string, status: number, text: RegExp][] = [
    [requestFor('other-1'), 400, /another name than careful-1/],
    [requestFor('careful-1/CN=other-1'), 400, /another name/],
    [broken.toString('base64'), 400, /not signed by its own key/],
    [requestFor(name, newKey('RSA-1024')), 400, /1024 bits/],
    ['bm9uc2Vuc2U=', 400, /certificate request/],
    ['', 400, /certificate request|pkcs10/],
    ['{}', 400, /neither PEM, base64 nor DER/],
    ['A'.repeat(40_000), 400, /too long/],
    ['A'.repeat(70_000), 413, /too large/]
  ]
  const changed = await changes(async () => {
    for (const [csr, status, text] of bodies) {
      const answer = await enrol(dae, { name, secret, csr })
      assert.match(answer.text, text)
      assert.equal(answer.status, status, answer.text)
      assert.match(String(answer.headers['content-type']), /^text\/plain/)
    }
    for (const type of ['application/json', 'text/plain', 'application/pkcs10x']) {
      const answer = await enrol(dae, { name, secret, type })
      assert.deepEqual([answer.status, answer.text], [415, 'Send application/pkcs10.\n'], type)
    }
  })
  assert.deepEqual(changed, {})
  assert.equal((await enrol(dae, { name, secret })).status, 200)
})

test('a device that lost our answer gets the same certificate for the same key; another key is refused', async () => {
  const [name, secret] = ['again-1', await register('again-1')]
  const csr = requestFor(name)
  const first = certificateIn(await enrol(dae, { name, secret, csr }))
  const changed = await changes(async () => {
    assert.ok(certificateIn(await enrol(dae, { name, secret, csr })).raw.equals(first.raw))
    const other = await enrol(dae, { name, secret })
    assert.deepEqual([other.status, other.text], [401, 'Device name or enrolment secret is not valid.\n'])
  })
  assert.deepEqual(changed, {})
  await install.sql(`UPDATE registrations SET expires_at = '2020-01-01' WHERE device_name = ?`, [name])
  assert.equal((await enrol(dae, { name, secret, csr })).status, 401)
})

test('of many enrolments at once with one secret, one is signed and on record', async () => {
  const [name, secret] = ['rush-1', await register('rush-1')]
  const requests = Array.from({ length: 6 }, () => requestFor(name))
  const statuses: number[] = []
  const changed = await changes(async () => {
    const answers = await Promise.all(requests.map((csr) => enrol(dae, { name, secret, csr })))
    statuses.push(...answers.map(({ status }) => status))
  })
  assert.deepEqual(changed, oneEnrolment)
  assert.equal(statuses.filter((status) => status === 200).length, 1)
  assert.ok(
    statuses.every((status) => [200, 401, 409].includes(status)),
    String(statuses)
  )
})

test('a challengePassword must be the tls-unique of this connection; TLS 1.3 has none', async () => {
  const [name, secret] = ['bound-1', await register('bound-1')]
  const wrong = { name, secret, csr: challenged(name, 'guess') }
  assert.match((await enrol(dae, wrong)).text, /challengePassword does not match/)
  const { status, text } = await enrolBound(dae, { name, secret })
  assert.equal(status, 200, text)
  assert.equal(certificateIn({ status, text }).subject, 'CN=bound-1')
})

test('an RSA-2048 key is served by an EC CA', async () => {
  const [name, secret] = ['rsa-1', await register('rsa-1')]
  const certificate = certificateIn(await enrol(dae, { name, secret, csr: requestFor(name, newKey('RSA-2048')) }))
  assert.equal(certificate.publicKey.asymmetricKeyDetails?.modulusLength, 2048)
  assert.match(openssl('verify', '-x509_strict', '-CAfile', install.caFile, file(certificate.toString())), /: OK/)
  // Another kind of key on the used secret: refused, and no connection suffers.
  assert.equal((await enrol(dae, { name, secret })).status, 401)
  assert.equal((await dae.ask('/readyz')).status, 200)
})

test('a sender of wrong secrets is told to slow down, and a right secret from the same address still enters', async () => {
  const secret = await register('crowd-1')
  const csr = requestFor('crowd-1')
  let told = 0
  for (let time = 0; time < 40 && told === 0; time++) {
    const answer = await enrol(dae, { name: 'crowd-1', secret: 'wrong', csr })
    if (answer.status === 429) told = time
    else assert.equal(answer.status, 401)
    if (told > 0) assert.equal(answer.headers['retry-after'], '60')
  }
  assert.ok(told > 0)
  assert.equal((await enrol(dae, { name: 'crowd-1', secret, csr })).status, 200)
})

/** A JSON column: text from MariaDB, parsed from MySQL. */
function jsonOf(column: unknown) {
  return typeof column === 'string' ? JSON.parse(column) : column
}

/** Not in this thread: the proxies are in it. */
const execute = promisify(execFile)

async function curl(...args: readonly string[]): Promise<string> {
  const common = ['--silent', '--show-error', '--fail-with-body', '--cacert', install.config.identity.ca]
  return (await execute('curl', [...common, ...args])).stdout
}

/** @returns what it prints: DER or PEM */
async function pki(...args: readonly string[]): Promise<Buffer> {
  return (await execute('/usr/bin/pki', args, { encoding: 'buffer' })).stdout
}
