/** For the wizard's proof that an event travels, and for the Control Panel's view of the relay; by mutual TLS. */
import type { FastifyInstance } from 'fastify'
import { AppError } from '../../lib/errors/app-error.ts'
import { requireRole } from '../../lib/service/roles.ts'
import type { Outbox } from './outbox.ts'
import type { Relay } from './relay.ts'

export interface ApiParts {
  readonly outbox: Outbox
  readonly relay: Relay
  readonly probeTopic: string
}

export function registerApi(app: FastifyInstance, { outbox, relay, probeTopic }: ApiParts): void {
  app.post('/api/v1/probe-events', { onRequest: requireRole('wizard') }, async (_request, reply) => {
    const eventId = await outbox.writeProbe(probeTopic)
    relay.nudge()
    return reply.code(201).send({ eventId })
  })

  app.get<{ Params: { eventId: string } }>(
    '/api/v1/events/:eventId',
    { onRequest: requireRole('wizard', 'cp') },
    async (request) => {
      const { eventId } = request.params
      const fate = await outbox.fateOf(eventId)
      if (fate === null) throw new AppError('not-found', 'There is no such event.')
      return { eventId, ...fate }
    }
  )

  app.get('/api/v1/lag', { onRequest: requireRole('cp', 'wizard') }, async () => ({
    ...(await outbox.lag()),
    ...relay.state()
  }))
}
