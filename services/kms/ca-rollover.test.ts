import assert from 'node:assert/strict'
import { randomBytes, X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import { file, openssl } from '../../lib/x509/testing.ts'
import { newInstall, type RunningKms, type TestInstall } from './testing.ts'

let install: TestInstall
let kms: RunningKms

before(async () => {
  install = await newInstall('gemalto-safenet')
  kms = await install.start()
  await kms.listening()
})
after(() => {
  kms.child.kill('SIGTERM')
})

const succeed = (keyId: string, days = 3650) => kms.client('wizard').succeedTenantCa(keyId, days)

async function device(caKeyId: string): Promise<string> {
  const key = file(openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'))
  const csr = openssl('req', '-new', '-key', key, '-subj', '/CN=device-1')
  const serial = `4${randomBytes(16).toString('hex').slice(1)}`
  return kms.client('dae').issueDeviceCertificate(caKeyId, { csr, commonName: 'device-1', serial, days: 30 })
}

test('the successor has the name and another key; devices of both pass for who trusts either (openssl)', async () => {
  const wizard = kms.client('wizard')
  const subject = 'CN=Example Device CA, O=Example'
  const old = await wizard.createTenantCa({ tenant: 'Example', subject, algorithm: 'EC-P256', days: 100 })
  const next = await succeed(old.keyId)
  assert.notEqual(next.keyId, old.keyId)
  const [before, root] = [new X509Certificate(old.certificate), new X509Certificate(next.certificate)]
  assert.equal(root.subject, before.subject)
  assert.ok(root.verify(root.publicKey) && !root.verify(before.publicKey))
  const [byOld, byNew] = [await device(old.keyId), await device(next.keyId)]
  const verify = (trusted: string, between: string, leaf: string) =>
    openssl(
      'verify',
      '-x509_strict',
      '-purpose',
      'sslclient',
      '-CAfile',
      file(trusted),
      '-untrusted',
      file(between),
      file(leaf)
    )
  assert.match(verify(old.certificate, next.newWithOld, byNew), /: OK/)
  assert.match(verify(next.certificate, next.oldWithNew, byOld), /: OK/)
  assert.match(verify(old.certificate, next.newWithOld, byOld), /: OK/)
  assert.match(verify(next.certificate, next.oldWithNew, byNew), /: OK/)
  // Neither outlives what it leads to.
  assert.ok(new X509Certificate(next.oldWithNew).validToDate <= before.validToDate)
  assert.ok(new X509Certificate(next.newWithOld).validToDate <= before.validToDate)

  const again = await succeed(old.keyId)
  assert.deepEqual([again.keyId, again.certificate], [next.keyId, next.certificate])
  const keys = (await wizard.listKeys()).filter(({ purpose }) => purpose === 'tenant-ca')
  assert.deepEqual(
    keys.map(({ id, version, state }) => [id, version, state]),
    [
      [next.keyId, 2, 'active'],
      [old.keyId, 1, 'retired']
    ]
  )
  // Setup that is done again finds the CA that there is.
  assert.equal(
    (await wizard.createTenantCa({ tenant: 'Example', subject, algorithm: 'EC-P256', days: 9 })).keyId,
    next.keyId
  )
})

test('there is no successor of the service CA, of the master key or of nothing', async () => {
  for (const id of [install.serviceCa.keyId, install.masterKey, 'f'.repeat(32)]) {
    await assert.rejects(succeed(id), { code: 'not-found' })
  }
})
