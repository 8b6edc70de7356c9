import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kmsStep } from './step.ts'

const gemalto = {
  keyStore: 'gemalto-safenet',
  slot: '3',
  partition: 'HSMoDnFIPS',
  password: 'userpin-1',
  kmsHost: 'https://localhost'
}
const nss = {
  keyStore: 'nss',
  nssFolder: '/var/lib/keyscaler/nss',
  nssPassword: 'correct horse battery',
  nssPasswordAgain: 'correct horse battery',
  kmsHost: 'https://localhost'
}

function fieldsOf(raw: Record<string, unknown>): Readonly<Record<string, string>> {
  const parsed = kmsStep.parse(raw)
  return parsed.ok ? {} : parsed.fields
}

test("the guide's example is accepted as a form sends it, with the fields of the other key store empty", () => {
  const parsed = kmsStep.parse({
    ...gemalto,
    confPath: '',
    library: '',
    nssFolder: '',
    nssPassword: '',
    certificate: ''
  })
  assert.ok(parsed.ok)
  assert.deepEqual(parsed.submission.values, {
    keyStore: 'gemalto-safenet',
    slot: 3,
    partition: 'HSMoDnFIPS',
    kmsHost: 'https://localhost',
    masterKey: 'generate'
  })
})

test('JSON with a number for the slot is accepted, and NSS without any HSM field', () => {
  assert.deepEqual(fieldsOf({ ...gemalto, slot: 3 }), {})
  assert.deepEqual(fieldsOf(nss), {})
})

test("missing values get the guide's words, also when only spaces were typed", () => {
  assert.deepEqual(fieldsOf({ keyStore: 'gemalto-safenet', slot: '', partition: '  ', kmsHost: '' }), {
    slot: 'You must provide a value for Gemalto SafeNet Slot Number.',
    partition: 'You must provide a value for Gemalto SafeNet Partition Name.',
    password: 'You must provide a value for Gemalto SafeNet KeyStore Password.',
    kmsHost: 'You must provide a value for Kms Hostname.'
  })
  assert.deepEqual(fieldsOf({ keyStore: '' }), { keyStore: 'Choose a key store.' })
})

const bad: readonly [Record<string, unknown>, string, RegExp][] = [
  [{ slot: 'three' }, 'slot', /whole number/],
  [{ slot: '-1' }, 'slot', /whole number/],
  [{ slot: '4294967296' }, 'slot', /0 to 4294967295/],
  [{ slot: 1.5 }, 'slot', /whole number/],
  [{ slot: ['3', '4'] }, 'slot', /whole number/],
  [{ partition: 'what?' }, 'partition', /no \?/],
  [{ partition: 'x'.repeat(33) }, 'partition', /at most 32/],
  [{ password: 'short' }, 'password', /at least 7/],
  [{ library: 'libCryptoki2.so' }, 'library', /absolute path/],
  [{ confPath: '/etc/"x' }, 'confPath', /quotes/],
  [{ kmsHost: 'kms.serverfarm.com' }, 'kmsHost', /including the protocol/],
  [{ kmsHost: 'ftp://kms.serverfarm.com' }, 'kmsHost', /including the protocol/],
  [{ kmsHost: 'https://a:b@kms' }, 'kmsHost', /user name/],
  [{ kmsHost: 'https://kms/x' }, 'kmsHost', /path/],
  [{ kmsHost: 'https://kms?' }, 'kmsHost', /path or query/],
  [{ kmsHost: 'https://kms_1' }, 'kmsHost', /DNS name/],
  [{ kmsHost: 'https://kms:70000' }, 'kmsHost', /not an address/],
  [{ kmsHost: 'https://0.0.0.0' }, 'kmsHost', /others reach/],
  [{ certificate: 'x' }, 'certificate', /PEM form/],
  [
    { certificateKey: '-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----' },
    'certificate',
    /You must provide a value for Certificate/
  ],
  [{ masterKey: 'none' }, 'masterKey', /master key/],
  [{ slott: '3' }, 'slott', /no field named slott/]
]

for (const [change, field, message] of bad) {
  test(`${JSON.stringify(change).slice(0, 60)} is refused beside ${field}`, () => {
    assert.match(fieldsOf({ ...gemalto, ...change })[field] ?? '', message)
  })
}

test('an NSS password must be long and typed twice alike', () => {
  assert.match(fieldsOf({ ...nss, nssPassword: 'elevenchars' }).nssPassword ?? '', /at least 12/)
  assert.equal(fieldsOf({ ...nss, nssPasswordAgain: 'something else' }).nssPasswordAgain, 'The passwords do not match.')
  assert.match(fieldsOf({ ...nss, nssFolder: "/x' flags=" }).nssFolder ?? '', /quotes/)
})

test('the plan names the partition and where the KMS will listen, and no secret', () => {
  const plan = kmsStep.planFor(gemalto).join('\n')
  assert.match(plan, /master key, AES-256, in HSMoDnFIPS/)
  assert.match(plan, /https:\/\/localhost:9443/)
  assert.ok(!plan.includes(gemalto.password))
})

test('a confirmation is for one submission: it is neither among the values nor kept with the secrets', async () => {
  const parsed = kmsStep.parse({ ...gemalto, serial: '1285309841233', sendAgain: 'on', confirmLabel: 'HSMoDnFIPS' })
  assert.ok(parsed.ok)
  assert.deepEqual(await parsed.submission.keepSecrets(), { password: 'userpin-1' })
  assert.equal(parsed.submission.values.serial, '1285309841233')
  assert.deepEqual(
    ['sendAgain', 'confirmLabel'].filter((name) => name in parsed.submission.values),
    []
  )
  assert.match(fieldsOf({ ...gemalto, confirmLabel: ['HSMoDnFIPS', 'x'] }).confirmLabel ?? '', /once, as text/)
})

test('secrets are kept apart from the values', async () => {
  const parsed = kmsStep.parse(gemalto)
  assert.ok(parsed.ok)
  assert.deepEqual(await parsed.submission.keepSecrets(), { password: 'userpin-1' })
})
