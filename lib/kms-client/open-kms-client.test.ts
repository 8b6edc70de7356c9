import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { after, test } from 'node:test'
import { AppError } from '../errors/app-error.ts'
import { issueCertificate } from '../x509/issue.ts'
import { newSerial } from '../x509/serial.ts'
import { serviceRoleUri } from '../x509/service-role.ts'
import { newServiceKey } from '../x509/software-key.ts'
import { file, newCa, type TestCa } from '../x509/testing.ts'
import { validity } from '../x509/validity.ts'
import { openKmsClient } from './open-kms-client.ts'

const ca = await newCa('EC-P256', 'CN=Service CA')
const identity = await identityOf('dae', ca)
const kms = await identityOf('kms', ca)
const endings: (() => unknown)[] = []
after(() => Promise.all(endings.map((end) => end())))

test('an answer comes over a connection that both ends proved, and the connection is used again', async () => {
  const sockets = new Set<unknown>()
  const address = await serve((request, response) => {
    sockets.add(request.socket)
    assert.equal('authorized' in request.socket && request.socket.authorized, true)
    answer(response, 200, { keys: [] })
  })
  const client = openClient(address)
  assert.deepEqual(await client.listKeys(), [])
  assert.deepEqual(await client.listKeys(), [])
  assert.equal(sockets.size, 1)
})

test('a problem document comes back as the error that the KMS had thrown', async () => {
  const address = await serve((_request, response) =>
    answer(response, 422, {
      type: '/problems/invalid-input',
      title: 'The request is not valid',
      detail: 'The request is not valid: tenant.',
      errors: [{ pointer: '/tenant', detail: 'Use 3 to 63 letters.' }],
      cure: 'Type another name.'
    })
  )
  await assert.rejects(openClient(address).createTenantKey('x'), (thrown) => {
    assert.ok(thrown instanceof AppError)
    assert.equal(thrown.code, 'invalid-input')
    assert.equal(thrown.message, 'The request is not valid: tenant.')
    assert.deepEqual(thrown.fields, { tenant: 'Use 3 to 63 letters.' })
    assert.equal(thrown.cure, 'Type another name.')
    return true
  })
})

test('a KMS that is silent, or stops in the middle of its answer, is unavailable after the deadline', async () => {
  for (const begin of [() => {}, (response: ServerResponse) => response.writeHead(200).write('{"keys":')]) {
    const address = await serve((_request, response) => begin(response))
    const started = performance.now()
    await assert.rejects(openClient(address, 150).listKeys(), { code: 'service-unavailable' })
    const took = performance.now() - started
    assert.ok(took >= 140 && took < 1500, `${took} ms`)
  }
})

test('a KMS that is not there is unavailable at once', async () => {
  await assert.rejects(openClient('https://127.0.0.1:1').listKeys(), { code: 'service-unavailable' })
})

test('a connection that the KMS closed while it was idle costs nothing: the call is made again', async () => {
  const sockets: Socket[] = []
  const address = await serve((request, response) => {
    // The second request on a connection finds it closed without a word, as after an idle time-out.
    if (sockets.includes(request.socket)) return request.socket.destroy()
    sockets.push(request.socket)
    answer(response, 200, { keys: [] })
  })
  const client = openClient(address)
  await client.listKeys()
  await client.listKeys()
  assert.equal(sockets.length, 2)
})

test('a server of another CA is not spoken to', async () => {
  const other = await identityOf('kms', await newCa('EC-P256', 'CN=Another CA'))
  let asked = 0
  const address = await serve((_request, response) => {
    asked += 1
    answer(response, 200, { keys: [] })
  }, other)
  await assert.rejects(openClient(address).listKeys(), { code: 'service-unavailable' })
  assert.equal(asked, 0)
})

test('another of our services at the same address is not taken for the KMS', async () => {
  const address = await serve((_request, response) => answer(response, 200, { keys: [] }), await identityOf('cp', ca))
  await assert.rejects(openClient(address).listKeys(), /is not the KMS but urn:keyscaler:service:cp/)
})

test('a certificate that the administrator gave is held to its address alone', async () => {
  const address = await serve(
    (_request, response) => answer(response, 200, { keys: [] }),
    await identityOf(undefined, ca)
  )
  assert.deepEqual(await openClient(address).listKeys(), [])
})

test('an answer of the wrong shape is named by its place, without what stood there', async () => {
  const address = await serve((_request, response) =>
    answer(response, 200, { plaintext: 'dG9wLXNlY3JldA==', wrapped: { mode: 'caller-iv', iv: '', data: '' } })
  )
  await assert.rejects(openClient(address).newDataKey('test'), (thrown) => {
    assert.ok(thrown instanceof AppError)
    assert.equal(thrown.code, 'service-unavailable')
    assert.match(thrown.message, /plaintext, wrapped\.v, wrapped\.aad, wrapped\.layers/)
    assert.doesNotMatch(JSON.stringify([thrown.message, thrown.stack, thrown.cause]), /dG9wLXNlY3JldA/)
    return true
  })
})

test('health tells what is wrong while the KMS is not ready', async () => {
  const address = await serve((_request, response) =>
    answer(response, 503, { ready: false, parts: { keyStore: { ok: false, detail: 'lost: gone' } } })
  )
  assert.deepEqual(await openClient(address).health(), { ready: false, detail: 'keyStore: lost: gone' })
})

function openClient(address: string, deadlineMs?: number) {
  const client = openKmsClient({ address, identity: { ...identity, ca: file(ca.certificate.toString()) }, deadlineMs })
  endings.push(client.close)
  return client
}

async function serve(
  handle: (request: IncomingMessage, response: ServerResponse) => unknown,
  { pem } = kms
): Promise<string> {
  const server = createServer(
    { ...pem, ca: ca.certificate.toString(), requestCert: true, rejectUnauthorized: true },
    (request, response) => void handle(request, response)
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return `https://127.0.0.1:${port}`
}

function answer(response: ServerResponse, status: number, json: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json))
}

/** A certificate of the internal CA for a service (or for a host only), as PEM and as files. */
async function identityOf(service: string | undefined, { certificate: issuer, signer }: TestCa) {
  const { privateKey, publicKey } = await newServiceKey()
  const certificate = await issueCertificate(
    {
      profile: 'service',
      subject: [{ type: 'CN', value: service ?? 'given' }],
      publicKey,
      serial: newSerial(),
      issuer: { certificate: issuer },
      ipAddresses: ['127.0.0.1'],
      uris: service === undefined ? [] : [serviceRoleUri(service)],
      ...validity(30, issuer)
    },
    signer
  )
  const pem = { cert: certificate.toString(), key: privateKey }
  return { pem, certificate: file(pem.cert), key: file(pem.key) }
}
