/**
 * The wizard's two apps. While setup is open: the door, the steps. Once it is finished: a status page and the one for a new key store password, and
 * no route of setup but the word that it is gone; main.ts puts one in place of the other.
 */
import type { FastifyInstance } from 'fastify'
import { descriptionRoutes } from './web/api/description-routes.ts'
import { setupGone } from './web/api/setup-gone.ts'
import { codeRoutes } from './web/code-routes.ts'
import { keepsakeRoutes, setupKeepsakeRoutes } from './web/keepsake-routes.ts'
import { type PasswordRoutesOptions, passwordRoutes } from './web/password-routes.ts'
import { type SetupRoutesOptions, setupRoutes } from './web/setup-routes.ts'
import { type StatusRoutesOptions, statusRoutes } from './web/status-routes.ts'
import { type FrameOptions, wizardFrame } from './web/wizard-app.ts'

export async function setupApp(options: FrameOptions & SetupRoutesOptions): Promise<FastifyInstance> {
  const app = await wizardFrame(options)
  app.get('/', async (_request, reply) => reply.redirect('/setup', 303))
  await app.register(codeRoutes, options)
  await app.register(descriptionRoutes)
  await app.register(setupRoutes, options)
  await app.register(setupKeepsakeRoutes, options)
  return app
}

export async function lockedApp(
  options: FrameOptions & StatusRoutesOptions & PasswordRoutesOptions
): Promise<FastifyInstance> {
  const app = await wizardFrame(options)
  await app.register(statusRoutes, options)
  await app.register(passwordRoutes, options)
  await app.register(setupGone, options)
  await app.register(keepsakeRoutes, options)
  return app
}
