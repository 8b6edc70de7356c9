/** The KMS client over HTTPS: one keep-alive agent, our certificate, the internal CA and nothing else trusted. */
import { readFileSync } from 'node:fs'
import { Agent } from 'node:https'
import type { PeerCertificate } from 'node:tls'
import { AppError, messageOf } from '../errors/app-error.ts'
import { answers } from './answers.ts'
import { exchange } from './exchange.ts'
import type { KmsClient } from './kms-client.ts'

// Not imported: an ES module import reads every export, and the list of roots is made then (4 ms).
const { checkServerIdentity } = process.getBuiltinModule('node:tls')

export interface KmsClientOptions {
  /** https://host:port */
  readonly address: string
  /** Paths of PEM files: our service certificate and its key, and the CA that the KMS's certificate must chain to. */
  readonly identity: { readonly certificate: string; readonly key: string; readonly ca: string }
  /** For every call but the making of a key, which has `keyCreationMs`. */
  readonly deadlineMs?: number | undefined
}

/** A network HSM may need ten seconds and more for an RSA-3072 key; a call that was cut off is repeated and adopts the key. */
const keyCreationMs = 60_000

/**
 * Opens no connection yet: the first call does. Safe for any number of calls at once.
 * @throws AppError invalid-input when a file of the identity cannot be read
 */
export function openKmsClient({ address, identity, deadlineMs = 5000 }: KmsClientOptions): KmsClient {
  const agent = new Agent({
    keepAlive: true,
    keepAliveMsecs: 10_000,
    maxSockets: 64,
    maxFreeSockets: 16,
    cert: pem(identity.certificate),
    key: pem(identity.key),
    ca: pem(identity.ca),
    minVersion: 'TLSv1.2',
    checkServerIdentity: refuseOtherService
  })
  const base = new URL(address)
  const get = (path: string) => exchange({ agent, base, method: 'GET', path, deadlineMs })
  const post = (path: string, body: unknown, withinMs = deadlineMs) =>
    exchange({ agent, base, method: 'POST', path, body, deadlineMs: withinMs })

  return {
    health: async () =>
      answers.health(await exchange({ agent, base, method: 'GET', path: '/readyz', deadlineMs, accept: [503] })),
    listKeys: async () => answers.keys(await get('/v1/keys')),
    createTenantKey: async (tenant) => answers.key(await post('/v1/tenant-keys', { tenant }, keyCreationMs)),
    createTenantCa: async (spec) => answers.tenantCa(await post('/v1/tenant-cas', spec, keyCreationMs)),
    succeedTenantCa: async (caKeyId, days) =>
      answers.succession(await post(`/v1/cas/${encodeURIComponent(caKeyId)}/successor`, { days }, keyCreationMs)),
    issueDeviceCertificate: async (caKeyId, request) =>
      answers.certificate(await post(`/v1/cas/${encodeURIComponent(caKeyId)}/device-certificates`, request)),
    issueServiceCertificate: async (spec) => answers.serviceCertificate(await post('/v1/service-certificates', spec)),
    newDataKey: async (context, tenant) => answers.dataKey(await post('/v1/data-keys', { context, tenant })),
    unwrapDataKey: async (wrapped, context, tenant) =>
      answers.plaintext(await post('/v1/data-keys/unwrap', { wrapped, context, tenant })),
    createSigningKey: async (tenant) =>
      answers.signingKey(await post('/v1/signing-keys', { tenant, algorithm: 'EC-P256' }, keyCreationMs)),
    succeedSigningKey: async (keyId) =>
      answers.signingKey(await post(`/v1/signing-keys/${encodeURIComponent(keyId)}/successor`, {}, keyCreationMs)),
    signMessage: async (keyId, message) =>
      answers.signature(
        await post(`/v1/signing-keys/${encodeURIComponent(keyId)}/signatures`, {
          message: Buffer.from(message).toString('base64')
        })
      ),
    beginRotation: async (purpose, tenant) =>
      answers.rotation(await post('/v1/rotations', { purpose, tenant }, keyCreationMs)),
    continueRotation: async (id, most) =>
      answers.rotation(await post(`/v1/rotations/${encodeURIComponent(id)}/batches`, { most }, keyCreationMs)),
    destroyKey: async (id, label) =>
      answers.key(await post(`/v1/keys/${encodeURIComponent(id)}/destruction`, { label })),
    close: async () => agent.destroy()
  }
}

/**
 * All services of one host have certificates for the same address: one that names its service must name the KMS. A certificate
 * that the administrator gave names none, and is held to its address alone.
 */
function refuseOtherService(host: string, certificate: PeerCertificate): Error | undefined {
  const wrongHost = checkServerIdentity(host, certificate)
  if (wrongHost !== undefined) return wrongHost
  const roles = certificate.subjectaltname?.match(/urn:keyscaler:service:[a-z0-9-]*/g) ?? []
  if (roles.every((role) => role === 'urn:keyscaler:service:kms')) return undefined
  return new Error(`${host} is not the KMS but ${roles.join(', ')}`)
}

function pem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new AppError('invalid-input', `${path} cannot be read: ${messageOf(cause)}`, { cause })
  }
}
