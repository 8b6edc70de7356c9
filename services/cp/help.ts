/** Where the foot's links lead; for everybody. */
import type { FastifyInstance } from 'fastify'
import { showPage } from './answer-form.ts'

export function registerHelp(app: FastifyInstance): void {
  for (const name of ['support', 'terms']) {
    app.get(`/help/${name}`, async (request, reply) => showPage(request, reply, `/cp/${name}.eta`, {}))
  }
}
