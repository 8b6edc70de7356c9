import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, randomBytes, verify, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { after, before, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import { exchange } from '../../lib/kms-client/exchange.ts'
import { signedBytes } from '../../lib/kms-client/signed-message.ts'
import type { Role } from '../../lib/service/roles.ts'
import { newInstall, type RunningKms, type TestInstall } from './testing.ts'

let install: TestInstall
let kms: RunningKms
const agents = new Map<Role, Agent>()
before(async () => {
  install = await newInstall('gemalto-safenet')
  kms = await install.start()
  await kms.listening()
})
after(() => {
  for (const agent of agents.values()) agent.destroy()
})

const message = Buffer.from('to whom it may concern')

for (const algorithm of ['EC-P256', 'RSA-3072'] as const) {
  test(`a tenant's ${algorithm} key signs a message, and its public key verifies that`, async () => {
    const key = await newKey(`Signs-${algorithm}`, algorithm)
    assert.deepEqual(await newKey(`Signs-${algorithm}`, algorithm), key)
    const publicKey = createPublicKey(key.publicKey)
    for (const role of ['wizard', 'dae', 'cp'] as const) {
      const signature = await sign(role, key.keyId, message)
      assert.equal(verify('sha256', signedBytes(message), publicKey, signature), true)
      assert.equal(verify('sha256', signedBytes(Buffer.from('another')), publicKey, signature), false)
    }
  })
}

test('what is signed can be no certificate, whatever the message is', async () => {
  const { keyId, publicKey } = await newKey('Separated', 'EC-P256')
  const certificate = new X509Certificate(readFileSync(install.serviceCa.certificate)).raw
  const signature = await sign('dae', keyId, certificate)
  assert.equal(verify('sha256', certificate, publicKey, signature), false)
  assert.equal(verify('sha256', signedBytes(certificate), publicKey, signature), true)
  assert.notEqual(signedBytes(certificate)[0], 0x30)
})

test('no key of another purpose signs a message', async () => {
  const wizard = kms.client('wizard')
  const subject = 'CN=Example Device CA, O=Example'
  await wizard.createTenantCa({ tenant: 'Example', subject, algorithm: 'EC-P256', days: 30 })
  await wizard.createTenantKey('Example')
  const keys = (await wizard.listKeys()).filter((key) => key.purpose !== 'signing')
  assert.deepEqual(keys.map((key) => key.purpose).sort(), ['master', 'service-ca', 'tenant', 'tenant-ca'])
  for (const { id } of [...keys, { id: 'f'.repeat(32) }]) {
    await assert.rejects(sign('wizard', id, message), { code: 'not-found' })
  }
})

test('only the wizard makes signing keys, and only services with a reason sign', async () => {
  const { keyId } = await newKey('Roles', 'EC-P256')
  for (const role of ['dae', 'cp', 'kms'] as const) {
    await assert.rejects(newKey('Roles', 'EC-P256', role), { code: 'forbidden' })
  }
  await assert.rejects(sign('kms', keyId, message), { code: 'forbidden' })
})

test('a tenant has one signing key: another algorithm is a conflict', async () => {
  await newKey('One', 'EC-P256')
  await assert.rejects(newKey('One', 'RSA-3072'), { code: 'conflict' })
})

test('many messages are signed in one call, each as if it were alone, and stand in the audit once', async () => {
  const { keyId, publicKey } = await newKey('Many', 'EC-P256')
  const path = `/v1/signing-keys/${keyId}/signature-batches`
  const messages = Array.from({ length: 64 }, (_, index) => Buffer.from(`message ${index}`))
  const sent = { messages: messages.map((one) => one.toString('base64')) }
  const { signatures } = (await post('dae', path, sent)) as { signatures: string[] }
  const verified = messages.map((one, index) =>
    verify('sha256', signedBytes(one), publicKey, Buffer.from(signatures[index] ?? '', 'base64'))
  )
  assert.deepEqual(verified, Array(64).fill(true))
  const [rows] = await install.database.pool.query<RowDataPacket[]>(
    `SELECT subject, outcome FROM kms_audit WHERE action = 'messages.sign' AND subject LIKE '${keyId}%'`
  )
  assert.deepEqual(
    rows.map(({ subject, outcome }) => [subject, outcome]),
    [[`${keyId} (64 messages)`, 'done']]
  )
  for (const wrong of [[], [...sent.messages, sent.messages[0]], [...sent.messages.slice(1), '']]) {
    await assert.rejects(post('dae', path, { messages: wrong }), { code: 'invalid-input' })
  }
  await assert.rejects(post('kms', path, sent), { code: 'forbidden' })
})

test('a key is followed by its next version: that one signs, the old one no more, and what it has signed verifies on', async () => {
  const first = await newKey('Rotated', 'EC-P256')
  const old = await sign('dae', first.keyId, message)
  const path = `/v1/signing-keys/${first.keyId}/successor`
  await assert.rejects(post('dae', path, {}), { code: 'forbidden' })
  const [next, same] = (await Promise.all([post('wizard', path, {}), post('wizard', path, {})])) as NewKey[]
  assert.deepEqual(next, same)
  assert.notEqual(next?.keyId, first.keyId)
  assert.deepEqual(await newKey('Rotated', 'EC-P256'), next)
  await assert.rejects(sign('dae', first.keyId, message), { code: 'conflict', message: /was followed by another/ })
  const signature = await sign('dae', next?.keyId ?? '', message)
  assert.equal(verify('sha256', signedBytes(message), next?.publicKey ?? '', signature), true)
  assert.equal(verify('sha256', signedBytes(message), first.publicKey, signature), false)

  const named = async (keyId: string) =>
    (
      (await get('cp', `/v1/signing-keys/${keyId}/versions`)) as {
        versions: (NewKey & { version: number; state: string })[]
      }
    ).versions
  const versions = await named(first.keyId)
  assert.deepEqual(await named(next?.keyId ?? ''), versions)
  assert.deepEqual(
    versions.map(({ version, state, keyId }) => [version, state, keyId]),
    [
      [2, 'active', next?.keyId],
      [1, 'retired', first.keyId]
    ]
  )
  assert.equal(verify('sha256', signedBytes(message), versions[1]?.publicKey ?? '', old), true)

  const wizard = kms.client('wizard')
  const label = (await wizard.listKeys()).find(({ id }) => id === first.keyId)?.label ?? ''
  await wizard.destroyKey(first.keyId, label)
  assert.equal(verify('sha256', signedBytes(message), (await named(first.keyId))[1]?.publicKey ?? '', old), true)
  await assert.rejects(sign('dae', first.keyId, message), { code: 'conflict' })
  assert.equal(((await post('wizard', path, {})) as NewKey).keyId, next?.keyId, 'still the same successor')
})

test('a digest, nothing, too much and unknown members are refused', async () => {
  const { keyId } = await newKey('Strict', 'EC-P256')
  const path = `/v1/signing-keys/${keyId}/signatures`
  const base64 = message.toString('base64')
  for (const body of [
    {},
    { message: '' },
    { message: 'not base64!' },
    { digest: base64 },
    { message: base64, digest: base64 },
    { message: Buffer.alloc(65_536).toString('base64') }
  ]) {
    await assert.rejects(post('dae', path, body), { code: 'invalid-input' })
  }
  assert.ok(await sign('dae', keyId, Buffer.alloc(65_535)))
  await assert.rejects(newKey('Strict', 'AES-256'), { code: 'invalid-input' })
})

test('a key in the token that is not the one that was made signs nothing', async () => {
  const { keyId } = await newKey('Swapped', 'EC-P256')
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' })
  await install.database.pool.execute('UPDATE kms_keys SET public_key = ? WHERE id = ?', [other, keyId])
  await assert.rejects(sign('dae', keyId, message), { code: 'conflict' })
})

test('each signature is on record with who asked, refused ones too', async () => {
  const { keyId } = await newKey('Audited', 'EC-P256')
  await sign('dae', keyId, message)
  await Promise.all([sign('cp', keyId, message), sign('cp', keyId, randomBytes(20))])
  const unknown = 'e'.repeat(32)
  await assert.rejects(sign('cp', unknown, message))
  const [rows] = await install.database.pool.query<RowDataPacket[]>(
    `SELECT actor, action, outcome FROM kms_audit WHERE action LIKE 'message%' AND subject IN (?, ?) ORDER BY id`,
    [keyId, unknown]
  )
  assert.deepEqual(
    rows.map(({ actor, action, outcome }) => [actor, action, outcome]),
    [
      ['dae', 'message.sign', 'done'],
      ['cp', 'message.sign', 'done'],
      ['cp', 'message.sign', 'done'],
      ['cp', 'message.sign', 'not-found']
    ]
  )
})

interface NewKey {
  readonly keyId: string
  readonly publicKey: string
}

async function newKey(tenant: string, algorithm: string, role: Role = 'wizard'): Promise<NewKey> {
  return (await post(role, '/v1/signing-keys', { tenant, algorithm })) as NewKey
}

async function sign(role: Role, keyId: string, bytes: Buffer): Promise<Buffer> {
  const sent = { message: bytes.toString('base64') }
  const { signature } = (await post(role, `/v1/signing-keys/${keyId}/signatures`, sent)) as { signature: string }
  return Buffer.from(signature, 'base64')
}

const post = (role: Role, path: string, body: unknown) => ask(role, 'POST', path, body)
const get = (role: Role, path: string) => ask(role, 'GET', path)

function ask(role: Role, method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
  const { certificate, key, ca } = install.identity(role)
  const files = { cert: readFileSync(certificate), key: readFileSync(key), ca: readFileSync(ca) }
  const agent = agents.get(role) ?? new Agent({ keepAlive: true, ...files })
  agents.set(role, agent)
  return exchange({ agent, base: new URL(kms.address), method, path, body, deadlineMs: 20_000 })
}
