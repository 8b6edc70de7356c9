import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TLSSocket } from 'node:tls'
import { selfSignedTls } from '../../lib/x509/software-key.ts'
import { dial } from './dial.ts'
import { httpPeer, type Peer, peer, silentPeer } from './testing.ts'
import { shakeHands } from './tls.ts'

/** A TLS server with a certificate for these names; what it is sent inside TLS comes out of `told`. */
async function tlsPeer(names: readonly string[]): Promise<Peer & { readonly ca: string; readonly told: () => string }> {
  const { certificate, privateKey } = await selfSignedTls({ names, days: 30 })
  let told = ''
  const server = await peer((socket) => {
    const secured = new TLSSocket(socket, { isServer: true, cert: certificate, key: privateKey })
    secured.on('data', (chunk) => {
      told += chunk.toString()
    })
    secured.on('error', () => {})
  })
  return { ...server, ca: certificate, told: () => told }
}

async function shake(port: number, host: string, ca?: string) {
  const socket = await dial({ host: 'peer.invalid', addresses: ['127.0.0.1'], loopback: true }, port)
  const { facts, secured } = await shakeHands(socket, { host, ca }, 500)
  secured?.destroy()
  socket.destroy()
  return facts
}

test('a certificate that leads to the given CA and has the name is good, and its facts are told', async () => {
  const { port, ca } = await tlsPeer(['db.example'])
  const facts = await shake(port, 'db.example', ca)
  assert.equal(facts.problem, null)
  assert.equal(facts.protocol, 'TLSv1.3')
  assert.equal(facts.names, 'DNS:db.example')
  assert.ok(Date.parse(facts.notAfter ?? '') > Date.now())
})

test('another name, an untrusted issuer and an address that the certificate does not have are told apart', async () => {
  const named = await tlsPeer(['db.example'])
  assert.equal((await shake(named.port, 'other.example', named.ca)).problem, 'wrong-name')
  assert.equal((await shake(named.port, 'db.example')).problem, 'untrusted')
  assert.equal((await shake(named.port, '127.0.0.1', named.ca)).problem, 'wrong-name')
  const addressed = await tlsPeer(['127.0.0.1'])
  assert.equal((await shake(addressed.port, '127.0.0.1', addressed.ca)).problem, null)
  assert.equal((await shake(addressed.port, '127.0.0.2', addressed.ca)).problem, 'wrong-name')
  assert.equal((await shake(addressed.port, 'localhost', addressed.ca)).problem, 'wrong-name')
})

test('a peer without TLS, and one that never answers the handshake, are told', async () => {
  assert.match((await shake((await httpPeer()).port, 'localhost')).problem ?? '', /^(no-tls|failed)$/)
  assert.equal((await shake((await silentPeer()).port, 'localhost')).problem, 'silent')
})

test('nothing is sent inside TLS before the peer is judged', async () => {
  const { port, told } = await tlsPeer(['db.example'])
  await shake(port, 'other.example')
  assert.equal(told(), '')
})
