/** A device that binds its request to its TLS connection (RFC 7030 3.5): only TLS 1.2 and older can. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:tls'
import { file, openssl } from '../../../lib/x509/testing.ts'
import type { RunningService } from '../../testing/service-process.ts'
import { bare, basic, newKey } from './device.ts'

/** PKCS#10 with this challengePassword. */
export function challenged(name: string, password: string): string {
  const config = file(
    `[req]\nprompt=no\ndistinguished_name=dn\nattributes=more\n[dn]\nCN=${name}\n[more]\nchallengePassword=${password}\n`
  )
  return bare(openssl('req', '-new', '-key', newKey(), '-config', config))
}

/** Enrols over TLS 1.2 with the client's Finished message of this very connection as challengePassword. */
export async function enrolBound(
  dae: RunningService,
  { name, secret }: { readonly name: string; readonly secret: string }
): Promise<{ status: number; text: string }> {
  const { hostname, port } = new URL(dae.address)
  const ca = readFileSync(dae.ca)
  const socket = connect({ host: hostname, port: Number(port), ca, maxVersion: 'TLSv1.2' })
  await once(socket, 'secureConnect')
  const csr = challenged(name, socket.getFinished()?.toString('base64') ?? '')
  const sent = request({
    createConnection: () => socket,
    method: 'POST',
    path: '/.well-known/est/simpleenroll',
    headers: { host: hostname, 'content-type': 'application/pkcs10', authorization: basic(name, secret) }
  })
  sent.end(csr)
  const [response] = await once(sent, 'response')
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  socket.destroy()
  return { status: response.statusCode, text: Buffer.concat(chunks).toString() }
}
