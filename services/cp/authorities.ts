/** The CA certificates that people need: the one our services show (for curl), and the one that devices are issued by. */
import { X509Certificate } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Pool, RowDataPacket } from 'mysql2/promise'
import { fingerprint } from '../../lib/x509/fingerprint.ts'
import { show } from './answer-form.ts'
import { sessionOf } from './session-guard.ts'

interface AuthoritiesParts {
  readonly database: Pool
  /** PEM: the internal CA, and whatever else the services trust. */
  readonly trustedCas: string
}

export function registerAuthorities(app: FastifyInstance, { database, trustedCas }: AuthoritiesParts): void {
  const services = certificatesIn(trustedCas)
  const devices = async (tenant: string) => {
    const [rows] = await database.query<RowDataPacket[]>(
      'SELECT certificate FROM certificate_authorities WHERE tenant = ? ORDER BY created_at',
      [tenant]
    )
    return rows.map((row) => new X509Certificate(row.certificate as Buffer))
  }

  app.get('/authorities', async (request, reply) => {
    const ofDevices = await devices(sessionOf(request).administrator.tenant)
    return show(request, reply, '/cp/authorities.eta', {
      services: services.map(described),
      devices: ofDevices.map(described)
    })
  })

  app.get('/service-ca.pem', async (_request, reply) =>
    reply
      .type('application/x-pem-file')
      .header('content-disposition', 'attachment; filename="service-ca.pem"')
      .send(services.join(''))
  )

  app.get('/device-ca.pem', async (request, reply) =>
    reply
      .type('application/x-pem-file')
      .header('content-disposition', 'attachment; filename="device-ca.pem"')
      .send((await devices(sessionOf(request).administrator.tenant)).join(''))
  )
}

/** Only certificates: whatever else should stand in the file is not sent. */
function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => new X509Certificate(block))
}

function described(certificate: X509Certificate) {
  return {
    subject: certificate.subject.replaceAll('\n', ', '),
    fingerprint: fingerprint(certificate),
    notAfter: certificate.validToDate.toISOString()
  }
}
