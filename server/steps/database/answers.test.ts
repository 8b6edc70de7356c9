import assert from 'node:assert/strict'
import { test } from 'node:test'
import { databaseConnectionFrom } from './answers.ts'
import { databaseStep } from './step.ts'

const good = {
  dbHost: '127.0.0.1',
  dbPort: '3306',
  dbName: 'keyscaler',
  dbUser: 'installer',
  dbPassword: 'quite-a-secret',
  dbTls: '',
  dbCa: ''
}
const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'

function fieldsOf(over: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const parsed = databaseStep.parse({ ...good, ...over })
  return parsed.ok ? {} : parsed.fields
}

test('what a form sends and what a script sends come to the same values, without the password', () => {
  const form = databaseStep.parse({ ...good, dbTls: 'on', dbCa: pem })
  const script = databaseStep.parse({ ...good, dbPort: 3306, dbTls: true, dbCa: pem })
  assert.ok(form.ok && script.ok)
  assert.deepEqual(form.submission.values, script.submission.values)
  assert.deepEqual(form.submission.values, {
    dbHost: '127.0.0.1',
    dbPort: 3306,
    dbName: 'keyscaler',
    dbUser: 'installer',
    dbTls: true,
    dbCa: pem.trim()
  })
})

test('each missing value is asked for by its label', () => {
  const parsed = databaseStep.parse({})
  assert.deepEqual(parsed.ok ? {} : parsed.fields, {
    dbHost: 'You must provide a value for Database Host.',
    dbName: 'You must provide a value for Database Name.',
    dbUser: 'You must provide a value for Database User.',
    dbPassword: 'You must provide a value for Database Password.'
  })
})

for (const [field, value, message] of [
  ['dbHost', 'http://db', 'Database Host must be a host name or an IP address.'],
  ['dbHost', 'db/../x', 'Database Host must be a host name or an IP address.'],
  ['dbHost', '999.1.1.1', 'Database Host must be a host name or an IP address.'],
  ['dbHost', ['a', 'b'], 'Database Host must be given once, as text.'],
  ['dbPort', '', 'You must provide a value for Database Port.'],
  ['dbPort', '0', 'Port must be 1–65535.'],
  ['dbPort', '70000', 'Port must be 1–65535.'],
  ['dbPort', '33o6', 'Port must be 1–65535.'],
  ['dbName', 'key-scaler', 'Database Name must be 1–64 letters, digits or underscores.'],
  ['dbName', 'x`; DROP', 'Database Name must be 1–64 letters, digits or underscores.'],
  ['dbName', 'MySQL', 'That database belongs to the server; choose another name.'],
  ['dbUser', 'u'.repeat(33), 'Database User must have at most 32 characters.'],
  ['dbPassword', 'short', 'Database Password must have at least 8 characters.'],
  ['dbTls', 'maybe', 'Use TLS must be yes or no.']
] as const) {
  test(`${field} = ${JSON.stringify(value)} is answered with: ${message}`, () => {
    assert.deepEqual(fieldsOf({ [field]: value }), { [field]: message })
  })
}

test('default passwords are refused, whatever case and ornament they come in', () => {
  for (const dbPassword of [
    'password',
    'Password1',
    'changeme!',
    'installer1',
    'keyscaler2024',
    '12345678',
    'aaaaaaaaaaaa'
  ]) {
    assert.match(fieldsOf({ dbPassword }).dbPassword ?? '', /default password/, dbPassword)
  }
  assert.deepEqual(fieldsOf({ dbPassword: 'Xk3-password-9q' }), {})
})

test('a CA certificate must be PEM, and is not asked for without TLS', () => {
  assert.match(fieldsOf({ dbTls: 'on', dbCa: 'MIIB' }).dbCa ?? '', /PEM/)
  assert.deepEqual(fieldsOf({ dbTls: '', dbCa: 'MIIB' }), {})
})

test('unknown fields are refused by name', () => {
  assert.deepEqual(fieldsOf({ dbSocket: '/tmp/x' }), { dbSocket: 'There is no field named dbSocket in this step.' })
})

test('kept values and the kept password become the connection, with the schema', () => {
  const values = { dbHost: 'db.example', dbPort: 3307, dbName: 'ks', dbUser: 'u', dbTls: true }
  assert.deepEqual(databaseConnectionFrom(values, 'secret'), {
    host: 'db.example',
    port: 3307,
    user: 'u',
    password: 'secret',
    tlsCa: 'system',
    database: 'ks'
  })
})
