import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import { createLunaToken } from '../../sandbox/luna/token.ts'
import { freePort } from '../../sandbox/ports.ts'
import { freshName, sharedSandbox } from '../../sandbox/testing.ts'
import { accountStep } from './account/step.ts'
import { completeStep } from './complete/step.ts'
import { cpStep } from './cp/step.ts'
import { daeStep } from './dae/step.ts'
import { type ApplyWorld, dir, newApplyWorld, Stopped } from './deploy-testing.ts'
import { kafkaStep } from './kafka/step.ts'
import { kmsStep } from './kms/step.ts'
import { mqsStep } from './mqs/step.ts'
import { askDeployed, jsonOf } from './service-proof.ts'

const password = 'co-password'
let world: ApplyWorld

const localhost = async () => `https://localhost:${await freePort()}`

before(async () => {
  const sandbox = await sharedSandbox(['mariadb', 'memcached', 'kafka'])
  world = await newApplyWorld()
  const token = await createLunaToken(join(dir, 'token'), { pin: password, soPin: 'so-password' })
  const { module, confPath, slot, label } = token
  const keyStore = { keyStore: 'gemalto-safenet', library: module, confPath, slot, partition: label, password }
  await world.apply(kmsStep, { ...keyStore, kmsHost: await localhost() })
  world.keep('memcached', { servers: [sandbox.memcached.server], prefix: 'test:' })
  const secret = 'Tr0ub4dor-and-more'
  const person = { fullName: 'Ada', email: 'ada@example.com', password: secret, passwordAgain: secret }
  await world.apply(accountStep, { tenant: 'acme', ...person })
  const topics = { topicPrefix: freshName('topic'), partitions: 1, replication: 1 }
  await world.apply(kafkaStep, { brokers: sandbox.kafka.brokers, security: 'PLAINTEXT', ...topics })
})

async function rows(sql: string) {
  return (await world.database.query<RowDataPacket[]>(sql))[0]
}

test('the DAE hands out the tenant CA after kills at every effect, and there is one CA', async () => {
  const answers = { daeHost: await localhost(), estLabel: 'factory', deviceDays: '90' }
  for (const effect of ['certificate-authority tenant/acme', 'certificate dae', 'service dae']) {
    await assert.rejects(world.apply(daeStep, answers, `${effect} done`), Stopped)
  }
  await world.apply(daeStep, answers)
  assert.deepEqual(world.unfinished(), [])
  const [ca, ...others] = await rows('SELECT certificate, device_days FROM certificate_authorities')
  assert.deepEqual(others, [])
  assert.equal(ca?.device_days, 90)
  assert.match(new X509Certificate(ca?.certificate).subject, /CN=acme Device CA/)
  assert.equal((await rows("SELECT id FROM kms_keys WHERE purpose = 'tenant-ca'")).length, 1)

  const { body } = await askDeployed(world.stateDir, 'dae', { method: 'GET', path: '/.well-known/est/cacerts' })
  const der = Buffer.from(body.toString(), 'base64')
  const printed = execFileSync('openssl', ['pkcs7', '-inform', 'DER', '-print_certs'], { input: der }).toString()
  assert.match(printed, /CN\s*=\s*acme Device CA/)
})

test('a CA key that the token does not offer is refused before anything is made; a shorter CA life than that of devices too', async () => {
  const findings = await world.check(daeStep, { daeHost: await localhost(), caKey: 'EC-P384' })
  assert.equal(findings.find(({ id }) => id === 'dae.ca-key')?.verdict, 'pass')
  assert.equal(findings.find(({ id }) => id === 'dae.ca')?.verdict, 'info')
  const parsed = daeStep.parse({ daeHost: 'https://localhost', caDays: 30, deviceDays: 31, caSubject: 'acme' })
  assert.ok(!parsed.ok)
  assert.match(parsed.fields.caSubject ?? '', /known type/)
  const longer = daeStep.parse({ daeHost: 'https://localhost', caDays: 30, deviceDays: 31 })
  assert.ok(!longer.ok && /outlive/.test(longer.fields.deviceDays ?? ''))
})

test('that the proof of the KMS step saw the mechanism is good for ten minutes; otherwise the token is asked again', async () => {
  const file = join(world.stateDir, 'key-store.json')
  const kept = readFileSync(file, 'utf8')
  const { evidence, ...record } = JSON.parse(kept)
  const verdict = async (proof: object, module: string = record.module) => {
    writeFileSync(file, JSON.stringify({ ...record, module, evidence: { ...evidence, ...proof } }))
    const findings = await world.check(daeStep, { daeHost: await localhost(), caKey: 'EC-P384' })
    return findings.find(({ id }) => id === 'dae.ca-key')?.verdict
  }
  const ago = (ms: number) => ({ at: new Date(Date.now() - ms).toISOString() })
  const nobody = join(dir, 'no-library.so')
  try {
    assert.equal(await verdict(ago(0), nobody), 'pass', 'a fresh proof: nobody is asked')
    assert.equal(await verdict(ago(11 * 60_000), nobody), 'fail')
    assert.equal(await verdict(ago(-60_000), nobody), 'fail', 'a clock that was set back')
    assert.equal(await verdict({ ...ago(0), mechanisms: [] }), 'pass', 'what was missing is asked for again')
  } finally {
    writeFileSync(file, kept)
  }
})

test('the MQS is deployed when a probe event has been acknowledged by the broker', async () => {
  await world.apply(mqsStep, { mqsHost: await localhost() })
  const [event] = await rows('SELECT type, published_at FROM outbox')
  assert.ok(event?.published_at != null)
})

test('a certificate that was given is what the listener shows; between services the internal one stays', async () => {
  const file = (name: string) => join(dir, name)
  const fresh = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '9']
  const named = ['-subj', '/CN=given', '-addext', 'subjectAltName=DNS:localhost']
  execFileSync('openssl', ['req', ...fresh, '-keyout', file('given.key'), '-out', file('given.crt'), ...named], {
    stdio: 'pipe'
  })
  const read = (name: string) => readFileSync(file(name), 'utf8')
  const given = { certificate: read('given.crt'), certificateKey: read('given.key') }
  const mqsHost = await localhost()
  const refused = await world.check(mqsStep, { mqsHost, ...given })
  assert.equal(refused.find(({ verdict }) => verdict === 'fail')?.say, 'Certificate of localhost is not trusted.')

  await world.apply(mqsStep, { mqsHost, ...given })
  const config = JSON.parse(readFileSync(join(world.stateDir, 'run/mqs/config.json'), 'utf8'))
  assert.equal(new X509Certificate(readFileSync(config.tls.certificate)).subject, 'CN=given')
  assert.equal(config.identity.certificate, join(world.stateDir, 'tls/mqs.crt'))
  await world.apply(mqsStep, { mqsHost })
})

test('the Control Panel is deployed when the first administrator could log in', async () => {
  await world.apply(cpStep, { cpHost: await localhost() })
  const answer = await askDeployed(world.stateDir, 'cp', {
    method: 'POST',
    path: '/api/v1/login-check',
    body: { email: 'ada@example.com' }
  })
  assert.deepEqual(jsonOf(answer), { ok: true })
})

test('an administrator who is not there fails the proof of the Control Panel in plain words', async () => {
  world.keep('account', { tenant: 'acme', email: 'nobody@example.com' })
  await assert.rejects(world.apply(cpStep, { cpHost: await localhost() }), /no administrator with this e-mail/)
  world.keep('account', { tenant: 'acme', email: 'ada@example.com' })
})

test('every deployed service has its own certificate from the internal CA, with its role', () => {
  const ca = new X509Certificate(readFileSync(join(world.stateDir, 'tls/service-ca.crt')))
  for (const service of ['kms', 'dae', 'mqs', 'cp']) {
    const certificate = new X509Certificate(readFileSync(join(world.stateDir, `tls/${service}.crt`)))
    assert.ok(certificate.verify(ca.publicKey), service)
    assert.match(certificate.subjectAltName ?? '', new RegExp(`DNS:localhost, URI:urn:keyscaler:service:${service}$`))
  }
})

test('Setup Complete! finds every service healthy, and names the one that is not', async () => {
  const healthy = await world.check(completeStep, {})
  assert.deepEqual(
    healthy.map(({ id, verdict }) => `${id} ${verdict}`),
    [
      'complete.kms-healthy pass',
      'complete.dae-healthy pass',
      'complete.mqs-healthy pass',
      'complete.cp-healthy pass',
      'complete.fingerprints info'
    ]
  )
  await world.target.stop()
  const stopped = await world.check(completeStep, {})
  assert.equal(stopped.filter(({ verdict }) => verdict === 'fail').length, 4)
})
