/** Who calls: the role in a verified client certificate (URI SAN urn:keyscaler:service:<name>). */
import { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import { AppError } from '../errors/app-error.ts'
import { serviceRoleOf } from '../x509/service-role.ts'

export const roles = ['wizard', 'kms', 'dae', 'mqs', 'cp'] as const
export type Role = (typeof roles)[number]

/** Read once a connection: parsing the certificate for each request costs more than a signature. */
const rolesOfSockets = new WeakMap<TLSSocket, Role | null>()

/** Null when the caller showed no certificate of the internal CA. */
export function roleOf(request: FastifyRequest): Role | null {
  const { socket } = request.raw
  if (!(socket instanceof TLSSocket) || !socket.authorized) return null
  const known = rolesOfSockets.get(socket)
  if (known !== undefined) return known
  const role = roleIn(socket)
  rolesOfSockets.set(socket, role)
  return role
}

function roleIn(socket: TLSSocket): Role | null {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return null
  const role = serviceRoleOf(certificate)
  return roles.find((known) => known === role) ?? null
}

/** preHandler: 401 without a certificate, 403 with another role. */
export function requireRole(...allowed: readonly Role[]): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    const role = roleOf(request)
    if (role === null) throw new AppError('unauthenticated', 'Show a client certificate of the internal CA.')
    if (!allowed.includes(role)) throw new AppError('forbidden', `The role ${role} may not do this.`)
  }
}
