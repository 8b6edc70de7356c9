/** /simplereenroll (RFC 7030 4.2.2): openssl makes the requests, the KMS's audit counts what was signed. */
import assert from 'node:assert/strict'
import type { X509Certificate } from 'node:crypto'
import { before, test } from 'node:test'
import { openPool } from '../../lib/database/pool.ts'
import { file, openssl } from '../../lib/x509/testing.ts'
import type { Identity } from '../testing/identities.ts'
import type { RunningService } from '../testing/service-process.ts'
import { atEnd } from '../testing/test-file.ts'
import { openReenrolmentRecord } from './reenrolment-record.ts'
import { challenged } from './testing/bound-device.ts'
import { certificateIn, enrol, newKey, requestFor } from './testing/device.ts'
import { type DaeInstall, newDae } from './testing/install.ts'

let install: DaeInstall
let dae: RunningService
before(async () => {
  install = await newDae()
  dae = await install.start()
})

interface Device {
  readonly name: string
  readonly key: string
  readonly certificate: X509Certificate
}

async function enrolled(name: string): Promise<Device> {
  const key = newKey()
  const secret = await install.register(dae, name)
  const certificate = certificateIn(await enrol(dae, { name, secret, csr: requestFor(name, key) }))
  return { name, key, certificate }
}

const shown = ({ key, certificate }: Omit<Device, 'name'>): Identity => ({
  certificate: file(certificate.toString()),
  key,
  ca: dae.ca
})

const exchange = (csr: string, by?: Identity) =>
  dae.ask('/.well-known/est/acme/simplereenroll', {
    body: csr,
    headers: { 'content-type': 'application/pkcs10' },
    ...(by === undefined ? {} : { by })
  })

async function signatures(work: () => Promise<unknown>): Promise<number> {
  const { signatures: earlier } = await install.counts()
  await work()
  return (await install.counts()).signatures - earlier
}

test('with the certificate that it has a device gets another, for the same key or a new one, and its event is written', async () => {
  const device = await enrolled('renew-1')
  for (const key of [device.key, newKey()]) {
    const before = { ...(await states('renew-1')) }
    const last = before.issued ?? ''
    const [row] = await install.sql('SELECT certificate FROM certificates WHERE serial = ?', [last])
    const current = file(pemOf(row?.certificate as Buffer))
    const by = { certificate: current, key: device.key, ca: dae.ca }
    const certificate = certificateIn(await exchange(requestFor('renew-1', key), by))
    assert.equal(certificate.subject, 'CN=renew-1')
    assert.notEqual(certificate.serialNumber, last)
    assert.match(openssl('verify', '-x509_strict', '-CAfile', install.caFile, file(certificate.toString())), /: OK/)
    assert.deepEqual((await states('renew-1')).issued, certificate.serialNumber)
    const [event] = await install.sql('SELECT type, event_key, payload FROM outbox ORDER BY id DESC LIMIT 1')
    const payload = typeof event?.payload === 'string' ? JSON.parse(event.payload) : event?.payload
    assert.deepEqual(
      [event?.type, event?.event_key, payload.serial, payload.replaces],
      ['device.reenrolled', 'renew-1', certificate.serialNumber, last]
    )
  }
  const { devices } = JSON.parse((await dae.ask('/api/v1/devices', { by: install.identity('cp') })).text)
  assert.equal(devices.filter(({ name }: { name: string }) => name === 'renew-1').length, 1)
})

test('who shows no certificate, or one that is not on record or not good now, is refused, and nothing is signed', async () => {
  const device = await enrolled('late-1')
  const csr = requestFor('late-1', device.key)
  const forged = newKey()
  const selfMade = openssl('req', '-x509', '-new', '-key', forged, '-subj', '/CN=late-1', '-days', '5')
  const asked = await signatures(async () => {
    const none = await exchange(csr)
    assert.deepEqual([none.status, none.text], [403, 'Show the certificate that the device has, in TLS.\n'])
    const strangers = {
      'a service': install.identity('cp'),
      'self-made': { certificate: file(selfMade), key: forged, ca: dae.ca }
    }
    for (const [who, by] of Object.entries(strangers)) {
      const answer = await exchange(csr, by)
      assert.deepEqual([answer.status, /not issued here/.test(answer.text)], [403, true], who)
    }
    await install.sql(`UPDATE certificates SET state = 'discarded' WHERE serial = ?`, [device.certificate.serialNumber])
    assert.equal((await exchange(csr, shown(device))).status, 403)
  })
  assert.equal(asked, 0)
})

test('names other than those of the certificate, a broken signature and a wrong challengePassword are refused unsigned', async () => {
  const [mine, other] = [await enrolled('strict-1'), await enrolled('strict-2')]
  const bodies = {
    'of another device': requestFor('strict-2', mine.key),
    'more in its subject': asking('/O=More/CN=strict-1', mine.key),
    'no name at all': asking('/', mine.key),
    'an alternative name': requestFor('strict-1', mine.key, '-addext', 'subjectAltName=DNS:bank.example'),
    'another kind of name': requestFor('strict-1', mine.key, '-addext', 'subjectAltName=email:a@b.example'),
    'a CA': requestFor('strict-1', mine.key, '-addext', 'basicConstraints=critical,CA:TRUE'),
    'a guess': challenged('strict-1', 'guess'),
    'no request': 'AAAA'
  }
  const asked = await signatures(async () => {
    for (const [what, csr] of Object.entries(bodies)) {
      const answer = await exchange(csr, shown(mine))
      assert.equal(answer.status, 400, `${what}: ${answer.text}`)
    }
    const broken = Buffer.from(requestFor('strict-1', mine.key), 'base64')
    broken.writeUInt8(broken.readUInt8(broken.length - 1) ^ 1, broken.length - 1)
    assert.equal((await exchange(broken.toString('base64'), shown(mine))).status, 400)
    assert.equal((await exchange(requestFor('strict-1', mine.key), shown(other))).status, 400)
  })
  assert.equal(asked, 0)
  assert.equal((await exchange(requestFor('strict-1', mine.key), shown(mine))).status, 200)
})

test('a device that lost our answer gets the same certificate for the same key; another key is refused', async () => {
  const device = await enrolled('lost-1')
  const csr = requestFor('lost-1', newKey())
  const first = certificateIn(await exchange(csr, shown(device)))
  const asked = await signatures(async () => {
    assert.ok(certificateIn(await exchange(csr, shown(device))).raw.equals(first.raw))
    const another = await exchange(requestFor('lost-1', newKey()), shown(device))
    assert.deepEqual([another.status, /exchanged already/.test(another.text)], [403, true])
  })
  assert.equal(asked, 0)
})

test('of many exchanges at once one is signed and on record', async () => {
  const device = await enrolled('rush-1')
  const requests = Array.from({ length: 6 }, () => requestFor('rush-1', newKey()))
  const statuses: number[] = []
  const asked = await signatures(async () => {
    const answers = await Promise.all(requests.map((csr) => exchange(csr, shown(device))))
    statuses.push(...answers.map(({ status }) => status))
  })
  assert.equal(asked, 1)
  assert.equal(statuses.filter((status) => status === 200).length, 1)
  assert.ok(
    statuses.every((status) => [200, 403, 409].includes(status)),
    String(statuses)
  )
})

test('who found the certificate before another exchange of it ended gets no serial to sign with', async () => {
  const device = await enrolled('tardy-1')
  const asDae = openPool(install.login)
  atEnd(() => asDae.end())
  const record = openReenrolmentRecord(asDae, {
    tenant: install.config.tenant,
    deviceTopic: install.config.deviceTopic
  })
  const late = await record.find(device.certificate)
  assert.ok(late)
  assert.equal((await exchange(requestFor('tardy-1', newKey()), shown(device))).status, 200)
  const before = await install.counts()
  const [ca] = await install.sql('SELECT key_id FROM certificate_authorities')
  await assert.rejects(record.claim(late, String(ca?.key_id)), { code: 'conflict' })
  assert.deepEqual(await install.counts(), before)
})

test('the KMS is away: 503, nothing is exchanged, and the certificate is good afterwards', async () => {
  const device = await enrolled('patient-1')
  const csr = requestFor('patient-1', device.key)
  install.proxies.kms.cut()
  assert.equal((await exchange(csr, shown(device))).status, 503)
  assert.equal((await states('patient-1')).issued, device.certificate.serialNumber)
  install.proxies.kms.restore()
  assert.equal((await exchange(csr, shown(device))).status, 200)
})

/** Serials by state, of one device. */
async function states(name: string): Promise<Readonly<Record<string, string>>> {
  const rows = await install.sql(
    'SELECT c.state, c.serial FROM certificates c JOIN devices d ON d.id = c.device_id WHERE d.name = ?',
    [name]
  )
  return Object.fromEntries(rows.map(({ state, serial }) => [state, serial]))
}

const pemOf = (der: Buffer) => `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`

const asking = (subject: string, key: string) =>
  openssl('req', '-new', '-key', key, '-subj', subject).replace(/-----[^-]*-----|\s/g, '')
