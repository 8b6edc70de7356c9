/** Fastify that answers at once, over the same mutual TLS as the KMS: what HTTP alone costs. */
import { X509Certificate } from 'node:crypto'
import Fastify, { type FastifyServerOptions } from 'fastify'
import type { Identity } from './install.ts'
import { credentials } from './kms.ts'

process.once('disconnect', () => process.exit(0))
process.once('message', async ({ identity, port }: { identity: Identity; port: number }) => {
  const { cert, key, ca } = credentials(identity)
  const https = {
    cert,
    key,
    ca: new X509Certificate(ca).toString(),
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2'
  }
  const options: FastifyServerOptions = {}
  const app = Fastify(Object.assign(options, { https }))
  const signature = Buffer.alloc(71).toString('base64')
  app.post('/v1/signing-keys/:keyId/signatures', async () => ({ signature }))
  await app.listen({ host: '127.0.0.1', port })
  process.send?.('listening')
})
