/**
 * Every call of the API, one after the other, over NSS: the one key store that would give its keys away. Samples stand for each
 * endpoint, so a new one without a sample does not compile.
 */
import assert from 'node:assert/strict'
import { createCipheriv, createECDH, createPublicKey, randomBytes, verify, X509Certificate } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import type { RowDataPacket } from 'mysql2/promise'
import { type Role, roles } from '../../lib/service/roles.ts'
import { file, openssl } from '../../lib/x509/testing.ts'
import { wrapOut } from '../../sandbox/nss/wrap-out.ts'
import { allEndpoints } from './open-api.ts'
import { newInstall, type RunningKms, type TestInstall } from './testing.ts'

type Name = keyof typeof allEndpoints

interface Sample {
  readonly params?: Readonly<Record<string, string>>
  readonly body?: Readonly<Record<string, unknown>>
}

let install: TestInstall
let kms: RunningKms
let samples: Record<Name, Sample>
const answers: { readonly asked: string; readonly text: string }[] = []
const names = Object.keys(allEndpoints) as Name[]

before(async () => {
  install = await newInstall('nss')
  kms = await install.start()
  await kms.listening()
  const wizard = kms.client('wizard')
  const tenant = 'Walk'
  await wizard.createTenantKey(tenant)
  const subject = 'CN=Walk Device CA'
  const { keyId } = await wizard.createTenantCa({ tenant, subject, algorithm: 'EC-P256', days: 30 })
  const { wrapped } = await wizard.newDataKey('walk', tenant)
  const rotation = await wizard.beginRotation('tenant', tenant)
  const key = file(openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'))
  const csr = openssl('req', '-new', '-key', key, '-subj', '/CN=device-1')
  const signing = JSON.parse(
    (await call('createSigningKey', 'wizard', { body: { tenant, algorithm: 'EC-P256' } })).text
  )
  samples = {
    describe: {},
    listKeys: {},
    createTenantKey: { body: { tenant } },
    createTenantCa: { body: { tenant, subject, algorithm: 'EC-P256', days: 30 } },
    succeedTenantCa: { params: { keyId }, body: { days: 20 } },
    issueDeviceCertificate: {
      params: { keyId },
      body: { csr, commonName: 'device-1', serial: `4${randomBytes(16).toString('hex').slice(1)}`, days: 10 }
    },
    issueServiceCertificate: { body: { service: 'cp', csr, dnsNames: ['cp.example'], ipAddresses: [] } },
    newDataKey: { body: { context: 'walk-2', tenant } },
    unwrapDataKey: { body: { wrapped, context: 'walk', tenant } },
    beginRotation: { body: { purpose: 'tenant', tenant } },
    continueRotation: { params: { rotationId: rotation.id }, body: {} },
    destroyKey: { params: { keyId: rotation.fromKey }, body: { label: 'tenant' } },
    createSigningKey: { body: { tenant, algorithm: 'EC-P256' } },
    signMessage: { params: { keyId: signing.keyId }, body: { message: randomBytes(32).toString('base64') } },
    signMessages: { params: { keyId: signing.keyId }, body: { messages: [randomBytes(32).toString('base64')] } },
    listSigningKeyVersions: { params: { keyId: signing.keyId } },
    succeedSigningKey: { params: { keyId: signing.keyId }, body: {} }
  }
})

describe('every call of the API', { concurrency: 1 }, () => {
  test('serves those that it is for, and is on record with its request id before the answer', async () => {
    for (const name of names) {
      const role = allEndpoints[name].roles[0]
      assert.ok(role)
      const id = await lastAudit()
      const { status, text } = await call(name, role, samples[name])
      // The name that was typed is not the key's: refused, and on record all the same.
      assert.equal(status, name === 'destroyKey' ? 422 : 200, `${name}: ${text}`)
      const rows = await audited(id)
      const outcome = name === 'destroyKey' ? 'invalid-input' : 'done'
      assert.deepEqual(rows, [`${role} ${allEndpoints[name].action} ${outcome}`], name)
    }
  })

  test('refuses every other role, a stranger, and who says too much; services are on record', async () => {
    for (const name of names) {
      const { roles: allowed, action, body } = allEndpoints[name]
      for (const role of roles.filter((one) => !(allowed as readonly Role[]).includes(one))) {
        const id = await lastAudit()
        const refused = await call(name, role, samples[name])
        assert.equal(refused.status, 403, `${name} by ${role}: ${refused.text}`)
        assert.deepEqual(await audited(id), [`${role} ${action} forbidden`], name)
      }
      assert.equal((await call(name, null, samples[name])).status, 401, name)
      if (body === undefined) continue
      const id = await lastAudit()
      const more = { ...samples[name], body: { ...samples[name].body, digest: 'AAAA' } }
      const role = allowed[0]
      assert.ok(role)
      assert.equal((await call(name, role, more)).status, 422, name)
      assert.deepEqual(await audited(id), [`${role} ${action} invalid-input`], name)
    }
  })

  test('signs no digest and no certificate that is sent, whatever key is named: no answer holds such a signature', async () => {
    const keys = await kms.client('wizard').listKeys()
    const cas = keys.filter(({ purpose }) => purpose === 'tenant-ca' || purpose === 'service-ca')
    assert.equal(cas.length, 3)
    const publicKeys = await Promise.all(cas.map(({ id }) => publicKeyOf(id)))
    const tbs = new X509Certificate(readFileSync(install.serviceCa.certificate)).raw
    const sent = [randomBytes(32), tbs]
    const before = answers.length
    for (const name of names) {
      for (const bytes of sent) {
        for (const { id } of cas) {
          for (const body of withBytes(samples[name].body ?? {}, bytes)) {
            const params = samples[name].params === undefined ? {} : { keyId: id, rotationId: id }
            for (const role of allEndpoints[name].roles) await call(name, role, { params, body })
          }
        }
      }
    }
    assert.ok(answers.length > before + 100)
    let looked = 0
    for (const { asked, text } of answers.slice(before)) {
      for (const [candidate] of text.matchAll(/[A-Za-z0-9+/]{60,}={0,2}/g)) {
        for (const publicKey of publicKeys) {
          for (const bytes of sent) {
            looked++
            assert.equal(verify('sha256', bytes, publicKey, Buffer.from(candidate, 'base64')), false, asked)
          }
        }
      }
    }
    assert.ok(looked > 100)
  })

  test('gives out no key of the token, although NSS itself wraps each of them out for whoever has its files', async () => {
    const keys = (await kms.client('wizard').listKeys()).filter(({ state }) => state !== 'destroyed')
    assert.deepEqual([...new Set(keys.map(({ purpose }) => purpose))].sort(), [
      'master',
      'service-ca',
      'signing',
      'tenant',
      'tenant-ca'
    ])
    kms.child.kill('SIGTERM')
    await kms.ended
    const secrets = await wrapOut(
      install.token.config,
      install.token.pin,
      keys.map(({ id }) => id)
    )
    for (const [index, { id, algorithm, checkValue }] of keys.entries()) {
      const secret = secrets[index]
      assert.ok(secret)
      const core = algorithm === 'AES-256' ? secret : privateValue(secret)
      // Proof that it is the key: its check value, or its public half.
      if (algorithm !== 'AES-256') assert.deepEqual(publicHalf(core), await publicPoint(id))
      else if (checkValue !== null) assert.equal(checkValueOf(core), checkValue)
      const forms = [
        core.toString('hex'),
        core.toString('base64').slice(0, 40),
        core.toString('base64url').slice(0, 40)
      ]
      for (const { asked, text } of answers) {
        for (const form of forms) assert.ok(!text.toLowerCase().includes(form.toLowerCase()), `${id} in ${asked}`)
      }
      for (const form of forms) assert.ok(!kms.output().includes(form), `${id} in its log`)
    }
  })

  test('no source of ours wraps a key out or reads one, but the trial of session keys in the probe', () => {
    const root = join(import.meta.dirname, '../..')
    const sources = globSync('{lib,services,server}/**/*.ts', { cwd: root }).filter(
      (name) => !name.endsWith('.test.ts')
    )
    const having = (pattern: RegExp) =>
      sources.filter((name) => pattern.test(readFileSync(join(root, name), 'utf8'))).sort()
    assert.deepEqual(having(/\.C_WrapKey\(/), ['lib/keystore/key-wrap.ts'])
    assert.deepEqual(having(/\btryKeyWrap\b/), ['lib/keystore/key-wrap.ts', 'lib/keystore/round-trips.ts'])
    assert.deepEqual(having(/\bCKA_VALUE\b/), ['lib/keystore/key-wrap.ts', 'lib/keystore/round-trips.ts'])
    assert.deepEqual(
      having(/from '.*\/round-trips\.ts'/).filter((name) => !/\/probe/.test(name)),
      []
    )
  })
})

/** The body once for each of its strings, with these bytes in its place: hexadecimal, base64 and PEM-like. */
function withBytes(body: Readonly<Record<string, unknown>>, bytes: Buffer): Record<string, unknown>[] {
  const forms = [bytes.toString('base64'), bytes.toString('hex')]
  return Object.entries(body).flatMap(([name, value]) => {
    if (Array.isArray(value)) return forms.map((form) => ({ ...body, [name]: [form] }))
    return typeof value === 'string' ? forms.map((form) => ({ ...body, [name]: form })) : []
  })
}

/** The octets of an EC private key inside of PKCS#8 (RFC 5915): an OCTET STRING of 32 bytes after version 1. */
function privateValue(pkcs8: Buffer): Buffer {
  const at = pkcs8.indexOf(Buffer.from('0201010420', 'hex'))
  assert.ok(at > 0)
  return pkcs8.subarray(at + 5, at + 37)
}

/** Key check value: the first three bytes of AES-ECB of zeros. */
function checkValueOf(key: Buffer): string {
  return createCipheriv('aes-256-ecb', key, null).update(Buffer.alloc(16)).subarray(0, 3).toString('hex')
}

function publicHalf(privateKey: Buffer): Buffer {
  const half = createECDH('prime256v1')
  half.setPrivateKey(privateKey)
  return half.getPublicKey()
}

async function publicPoint(id: string): Promise<Buffer> {
  return (await publicKeyOf(id)).export({ type: 'spki', format: 'der' }).subarray(-65)
}

async function publicKeyOf(id: string) {
  const [rows] = await install.database.pool.query<RowDataPacket[]>('SELECT public_key FROM kms_keys WHERE id = ?', [
    id
  ])
  return createPublicKey({ key: rows[0]?.public_key, format: 'der', type: 'spki' })
}

async function lastAudit(): Promise<number> {
  const [rows] = await install.database.pool.query<RowDataPacket[]>('SELECT MAX(id) AS last FROM kms_audit')
  return Number(rows[0]?.last ?? 0)
}

async function audited(after: number): Promise<string[]> {
  const [rows] = await install.database.pool.query<RowDataPacket[]>(
    'SELECT actor, action, outcome FROM kms_audit WHERE id > ? ORDER BY id',
    [after]
  )
  return rows.map(({ actor, action, outcome }) => `${actor} ${action} ${outcome}`)
}

/** Without our client, to see what is really answered. @param role null: without a certificate */
function call(name: Name, role: Role | null, { params = {}, body }: Sample): Promise<{ status: number; text: string }> {
  const { method, path } = allEndpoints[name]
  const url = new URL(
    path.replaceAll(/:(\w+)/g, (_, part: string) => params[part] ?? ''),
    kms.address
  )
  const files = role === null ? null : install.identity(role)
  const identity = files === null ? {} : { cert: readFileSync(files.certificate), key: readFileSync(files.key) }
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  return new Promise((resolve, reject) => {
    const ca = readFileSync(install.serviceCa.certificate)
    const sent = request(url, { method, headers, ca, agent: false, ...identity }, async (response) => {
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk)
      const text = Buffer.concat(chunks).toString()
      answers.push({ asked: `${role} ${method} ${url.pathname}`, text })
      resolve({ status: response.statusCode ?? 0, text })
    })
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
