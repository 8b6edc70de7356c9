/**
 * What is left of /setup when setup is locked: 410 and why, whatever is asked. One thing more: a script that lost the answer
 * to its last POST may have it again (idempotency.ts); nothing of setup runs for it.
 */
import type { FastifyInstance, HTTPMethods } from 'fastify'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { Install } from '../../install/install.ts'
import { neverStore } from '../guard.ts'
import { answerFromSetup, keyHashOf } from './idempotency.ts'
import { answerWith } from './kept-answer.ts'

const methods: HTTPMethods[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

export async function setupGone(app: FastifyInstance, { install }: { readonly install: Install }): Promise<void> {
  app.addHook('onRequest', neverStore)
  app.addHook('onRequest', async (request) => {
    // Without a key nothing is read of what was sent.
    if (request.headers.authorization === undefined || keyHashOf(request) === null) throw gone(install)
  })
  for (const url of ['/setup', '/setup/*']) {
    app.route({
      method: methods,
      url,
      handler: async (request, reply) => {
        const answer = await answerFromSetup(install, request)
        if (answer === null) throw gone(install)
        return answerWith(reply, answer)
      }
    })
  }
}

function gone(install: Install): AppError {
  if (install.finishedAt() === null) {
    return new AppError('locked', 'An answers file is being applied: setup over HTTP is closed meanwhile.', {
      cure: 'Wait until keyscaler apply has ended, then start keyscaler serve.'
    })
  }
  return new AppError('locked', 'Setup is finished, and its pages are gone.', {
    cure: 'To open it again, as root on the host: keyscaler unlock.'
  })
}
