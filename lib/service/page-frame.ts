/** What stands around pages, the wizard's and the Control Panel's alike: whose Host names are ours, headers, assets, views. */
import { join } from 'node:path'
import helmet from '@fastify/helmet'
import fastifyStatic from '@fastify/static'
import view from '@fastify/view'
import { Eta } from 'eta'
import type { FastifyInstance } from 'fastify'
import { Misdirected } from './problems.ts'

export interface PageFrame {
  /** Of the checkout: its `public/` and `views/` are served and drawn. */
  readonly root: string
  /** Host names that are ours, without port. */
  readonly hosts: readonly string[]
  /** What to do for who comes by another name. */
  readonly elsewhere: string
  readonly hsts: boolean
  /** Scripts of ours may ask us (fetch, EventSource). */
  readonly scriptsAsk: boolean
  /** What every view is given. */
  readonly context?: object
}

const ourself = ["'self'"]
const nobody = ["'none'"]

export async function pageFrame(app: FastifyInstance, frame: PageFrame): Promise<void> {
  const { root, hsts, scriptsAsk, context } = frame
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: nobody,
        styleSrc: ourself,
        scriptSrc: ourself,
        imgSrc: ourself,
        ...(scriptsAsk ? { connectSrc: ourself } : {}),
        formAction: ourself,
        baseUri: nobody,
        frameAncestors: nobody
      }
    },
    hsts: hsts && { includeSubDomains: false },
    // Not "no-referrer": with it a browser sends a form with `Origin: null`.
    referrerPolicy: { policy: 'same-origin' }
  })
  // Behind helmet: its page has these headers too.
  refuseForeignHosts(app, frame)
  await app.register(fastifyStatic, {
    root: join(root, 'public'),
    prefix: '/public/',
    immutable: true,
    maxAge: '1d',
    index: false
  })
  await app.register(view, {
    engine: { eta: new Eta({ views: join(root, 'views'), cache: true, autoTrim: false }) },
    root: join(root, 'views'),
    production: true,
    ...(context === undefined ? {} : { defaultContext: context })
  })
}

/**
 * 421 for a name that is not ours: a page of another name that points here gets nothing (DNS rebinding). X-Forwarded-Host is
 * never read (trustProxy is off).
 */
function refuseForeignHosts(app: FastifyInstance, { hosts, elsewhere }: PageFrame): void {
  const ours = new Set(hosts.map((name) => name.toLowerCase()))
  app.addHook('onRequest', async (request) => {
    const name = (request.headers.host ?? '').replace(/:\d+$/, '').toLowerCase()
    if (!ours.has(name)) throw new Misdirected(elsewhere)
  })
}
