import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { CompactSign, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { issueEvaluationLicense, trustedIssuers } from './evaluation-issuer.ts'
import { verifyLicense } from './license.ts'

function stateDir(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ks-license-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const order = { licensee: 'Example Ltd', devices: 25, days: 30 }
const day = 86_400_000
const problemOf = async (text: string, folder: string, now = new Date()) => {
  const verdict = await verifyLicense(text, await trustedIssuers(folder), now)
  return verdict.valid ? null : verdict.problem
}

test('a licence issued here is valid here, says what was ordered, and every licence has its own id', async () => {
  const folder = stateDir()
  const [one, two] = [await issueEvaluationLicense(folder, order), await issueEvaluationLicense(folder, order)]
  const [first, second] = await Promise.all(
    [one, two].map(async (text) => verifyLicense(text, await trustedIssuers(folder)))
  )
  assert.ok(first?.valid && second?.valid)
  const { product, licensee, devices, evaluation, tenant } = first.claims
  assert.deepEqual(
    { product, licensee, devices, evaluation, tenant },
    { product: 'KeyScaler', licensee: 'Example Ltd', devices: 25, evaluation: true, tenant: undefined }
  )
  assert.notEqual(first.claims.jti, second.claims.jti)
})

test('the issuer key is for nobody else to read, and is not valid on another server', async () => {
  const folder = stateDir()
  const text = await issueEvaluationLicense(folder, order)
  assert.equal(statSync(join(folder, 'license-issuer')).mode & 0o777, 0o700)
  assert.equal(statSync(join(folder, 'license-issuer', 'key.json')).mode & 0o777, 0o600)
  assert.equal(await problemOf(text, stateDir()), 'unknown-issuer')
})

test('it begins at once, also for a clock that is a little behind, and ends on its day', async () => {
  const folder = stateDir()
  const now = new Date('2027-01-01T00:00:00Z')
  const text = await issueEvaluationLicense(folder, order, now)
  const at = (ms: number) => problemOf(text, folder, new Date(now.getTime() + ms))
  assert.equal(await at(-60_000), null)
  assert.equal(await at(-day), 'not-yet-valid')
  assert.equal(await at(30 * day - 1000), null)
  assert.equal(await at(30 * day), 'expired')
})

test('one changed bit, or words around it, and the licence is none', async () => {
  const folder = stateDir()
  const text = await issueEvaluationLicense(folder, order)
  const [header = '', payload = '', signature = ''] = text.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const more = Buffer.from(JSON.stringify({ ...claims, devices: 1_000_000 })).toString('base64url')
  assert.equal(await problemOf(`${header}.${more}.${signature}`, folder), 'bad-signature')
  const flipped = (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1)
  assert.equal(await problemOf(`${header}.${payload}.${flipped}`, folder), 'bad-signature')
  for (const wrong of ['', 'hello', '{}', `${header}.${payload}`, `${text}.x`, 'a'.repeat(60_000)]) {
    assert.equal(await problemOf(wrong, folder), 'malformed', wrong.slice(0, 20))
  }
})

test('no other algorithm will do: neither none, nor a MAC keyed with the public key (RFC 8725 3.1)', async () => {
  const folder = stateDir()
  const text = await issueEvaluationLicense(folder, order)
  const [issuer] = await trustedIssuers(folder)
  const [, payload = ''] = text.split('.')
  const none = Buffer.from(JSON.stringify({ alg: 'none', kid: issuer?.kid })).toString('base64url')
  assert.equal(await problemOf(`${none}.${payload}.`, folder), 'malformed')
  const mac = await new SignJWT(JSON.parse(Buffer.from(payload, 'base64url').toString()))
    .setProtectedHeader({ alg: 'HS256', kid: issuer?.kid ?? '' })
    .sign(new TextEncoder().encode(JSON.stringify(issuer?.publicKey)))
  assert.equal(await problemOf(mac, folder), 'malformed')
})

test('a good signature over other claims than a licence has is no licence', async () => {
  const folder = stateDir()
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  await issueEvaluationLicense(folder, order)
  const jwk = await exportJWK(publicKey)
  await writeFile(join(folder, 'license-issuer', 'vendor.pub.json'), JSON.stringify(jwk), { mode: 0o600 })
  const vendor = (await trustedIssuers(folder)).find(({ publicKey: key }) => key.x === jwk.x)
  const signed = (claims: object) =>
    new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg: 'ES256', kid: vendor?.kid ?? '' })
      .sign(privateKey)
  assert.equal(await problemOf(await signed({ sub: 'somebody', exp: 9e9 }), folder), 'malformed')
  const good = { jti: 'vendor-0001', product: 'KeyScaler', licensee: 'X', devices: 1, evaluation: false }
  const dates = { iat: 0, nbf: 0, exp: 9e9 }
  assert.equal(await problemOf(await signed({ ...good, ...dates }), folder), null, 'an issuer put there by hand counts')
  assert.equal(await problemOf(await signed({ ...good, ...dates, admin: true }), folder), 'malformed')
})

test('an order that cannot be a licence is refused', async () => {
  const folder = stateDir()
  for (const wrong of [{ devices: 0 }, { devices: 1.5 }, { licensee: '' }, { days: Number.NaN }]) {
    await assert.rejects(issueEvaluationLicense(folder, { ...order, ...wrong }), { code: 'invalid-input' })
  }
})
