/**
 * `keyscaler serve`: opens the state folder, takes up what runs already, finishes what a kill interrupted, and serves
 * setup until it is done, the status page from then on. Supervises the services either way (process target).
 */
import { watch } from 'node:fs'
import type { RequestListener, Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { messageOf } from '../lib/errors/app-error.ts'
import type { setupApp } from './app.ts'
import { bracketed } from './deploy/addresses.ts'
import { processTarget } from './deploy/targets/process.ts'
import { type Install, openInstall, type PendingStep, unlockRequest } from './install/install.ts'
import { keepRecord } from './install/record-file.ts'
import { takeStateLock } from './install/state-lock.ts'
import { steps } from './install/steps.ts'
import type { Watcher } from './install/submit.ts'
import { sweepTornFiles } from './install/torn-files.ts'
import { isPending } from './key-store-password/kept-password.ts'
import { answerStartRequest, startRequest } from './key-store-password/start-request.ts'
import { openAccess } from './web/access.ts'
import { root } from './web/product.ts'
import type { SetupRoutesOptions } from './web/setup-routes.ts'
import { type WizardTls, wizardTls } from './web/wizard-tls.ts'

// Not imported: an ES module import reads every export of node:http, and its WebSocket loads all of undici (30 ms).
const { createServer } = process.getBuiltinModule('node:http')

export interface ServeOptions {
  readonly stateDir: string
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  readonly allowedHosts: readonly string[]
  readonly tls?: { readonly certificate: string; readonly key: string }
  readonly suggestions: SetupRoutesOptions['suggestions']
  /** False: the status page only, no setup over HTTP (an answers file is being applied). */
  readonly setup?: boolean
  /** Where what an interrupted step shows once is kept; absent: shown to the first who asks. */
  readonly showOnce?: NonNullable<Watcher['showOnce']>
  readonly log: FastifyBaseLogger
  /** Lines for the console: the address, the code, the fingerprint. */
  readonly say: (line: string) => void
}

export interface Wizard {
  readonly url: string
  readonly install: Install
  /** No step is begun and not done: known before the services are looked at. Never rejects; false: one is, or it is not known. */
  readonly nothingPending: Promise<boolean>
  /** Settles when what runs already is taken up and what a kill interrupted is finished or reported. */
  readonly takenUp: Promise<void>
  /** @param services true: stops them too (the process target's default on a clean stop) */
  readonly close: (services: boolean) => Promise<void>
}

export async function serve(options: ServeOptions): Promise<Wizard> {
  const { stateDir, log, say } = options
  const unlock = await takeStateLock(stateDir)
  await sweepTornFiles(stateDir)
  const target = processTarget({ stateDir, root })
  const unwritten = (err: unknown) => log.warn({ err }, 'the journal of a job cannot be written')
  const install = await openInstall({ stateDir, steps, target, unwritten }).catch((thrown) => {
    unlock()
    throw thrown
  })
  const access = await openAccess(stateDir)
  const tls = await wizardTls(options, stateDir)

  let current: RequestListener = (_request, response) => response.writeHead(503).end()
  const server = listenWith(tls, (request, response) => current(request, response))
  const { port } = await listening(server, options.host, options.port)
  // Bound to every address, it is reached by the machine's name.
  const reachedAs = options.host === '0.0.0.0' || options.host === '::' ? hostname() : bracketed(options.host)
  const url = `${tls === null ? 'http' : 'https'}://${reachedAs}:${port}`
  const frame = {
    log,
    tls: tls !== null,
    allowedHosts: ['localhost', '127.0.0.1', '[::1]', reachedAs, ...options.allowedHosts]
  }

  /** Puts an app in place of the one before; what that one is answering still ends. */
  const show = async (build: (serverFactory: FrameServerFactory) => Promise<FastifyInstance>) => {
    let handler: RequestListener | undefined
    const app = await build((next) => {
      handler = next as RequestListener
      return createServer()
    })
    await app.ready()
    if (handler !== undefined) current = handler
    return app
  }
  const showLocked = async () => {
    const { lockedApp } = await import('./app.ts')
    return show((serverFactory) => lockedApp({ ...frame, serverFactory, install, access }))
  }
  const showSetup = async () => {
    const { setupApp } = await import('./app.ts')
    return show((serverFactory) =>
      setupApp({
        ...frame,
        serverFactory,
        install,
        access,
        suggestions: options.suggestions,
        finished: async () => {
          await keepRecord(install).catch((err) => log.error({ err }, unrecorded))
          await showLocked()
          await access.close()
          say('Setup is finished and locked. To reopen it: keyscaler unlock')
        }
      })
    )
  }

  await install.takeUnlock()
  if (options.setup === false) {
    // Made when somebody looks: most applies change nothing and are gone before.
    let shown: ReturnType<typeof showLocked> | undefined
    current = (request, response) => {
      shown ??= showLocked()
      shown.then(
        () => current(request, response),
        (err) => {
          log.error({ err }, 'the status page cannot be shown')
          response.writeHead(500).end()
        }
      )
    }
  } else if (install.finishedAt() === null) {
    const code = await access.newCode()
    await showSetup()
    say(`Setup wizard: ${url}`)
    say(`Setup code:   ${code}`)
    say(`              (also in ${access.codeFile}; it works once, within a day)`)
    if (tls?.fingerprint !== undefined) say(`Certificate SHA-256: ${tls.fingerprint}`)
  } else {
    await showLocked()
    say(`Setup is finished and locked; status: ${url}`)
  }

  const requestWatch = watch(stateDir, (_event, name) => {
    if (name === startRequest) {
      answerStartRequest(stateDir, target).catch((err) => log.error({ err }, 'starting the KMS failed'))
    }
    if (name !== unlockRequest) return
    install
      .takeUnlock()
      .then(async (asked) => {
        if (!asked || options.setup === false) return
        await showSetup()
        say(`Setup is open again: ${url}`)
      })
      .catch((err) => log.error({ err }, 'unlocking failed'))
  })

  return {
    url,
    install,
    ...takeUp(install, options),
    close: async (services) => {
      requestWatch.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      if (services) await target.stop()
      await install.close()
      unlock()
    }
  }
}

type FrameServerFactory = NonNullable<Parameters<typeof setupApp>[0]['serverFactory']>

const unrecorded = 'The install record could not be signed; keyscaler record sign makes it.'

/** In the background, so that the page is there at once: a cut-off change of the password, services, the interrupted step. */
function takeUp(install: Install, options: ServeOptions): Pick<Wizard, 'nothingPending' | 'takenUp'> {
  const { log, say } = options
  const settled = settleCutOff(install.stateDir)
    .then((words) => words !== null && say(words))
    .catch((err) => log.error({ err }, messageOf(err)))
  const tables = settled.then(() => upgraded(install, options))
  const early = tables.then(() => install.pending())
  // A database that did not answer yet may by then.
  const pending = () => early.catch(() => install.pending())
  const takenUp = settled
    .then(() => Promise.all([tables, install.target.resume(tables)]))
    // Asked for while no wizard was there to read it.
    .then(() => answerStartRequest(install.stateDir, install.target))
    .then(async () => takeUpJob(install, await pending(), options))
    .then(async () => void (await keepRecord(install).catch((err) => log.error({ err }, unrecorded))))
    .catch((err) => log.error({ err }, messageOf(err)))
  const nothingPending = early.then(
    (found) => found === null,
    () => false
  )
  return { nothingPending, takenUp }
}

/** Nothing is started on tables of an earlier version; what runs already is looked at meanwhile. Never rejects. */
async function upgraded(install: Install, { log, say }: Pick<ServeOptions, 'log' | 'say'>): Promise<void> {
  try {
    const applied = await install.upgrade()
    if (applied.length > 0) say(`The database was brought up to this version: ${applied.join(', ')}`)
  } catch (err) {
    log.error({ err }, messageOf(err))
  }
}

/** How a change of the HSM password that a kill cut off has ended, in words. Nearly every start finds none. */
async function settleCutOff(stateDir: string): Promise<string | null> {
  if (!isPending(stateDir)) return null
  const { settledWords, settlePending } = await import('./key-store-password/change-password.ts')
  const settled = await settlePending(stateDir)
  return settled === null ? null : settledWords[settled]
}

/** What a kill has interrupted is finished; what a person has cancelled waits for one. */
async function takeUpJob(
  install: Install,
  pending: PendingStep | null,
  { log, say, showOnce }: Pick<ServeOptions, 'log' | 'say' | 'showOnce'>
): Promise<void> {
  if (pending === null) return
  const { step, held } = pending
  if (held) return say(`The step ${step} was cancelled, and waits for Next or Retry.`)
  const { beginResume, interruptedJob } = await import('./install/jobs/begin.ts')
  const keeping = showOnce === undefined ? {} : { showOnce }
  const job = beginResume(install, step, await interruptedJob(install), { actor: 'keyscaler', ...keeping })
  log.info({ job: job.id }, `finishing the interrupted step ${step}`)
  const { error } = await job.result
  if (error === undefined) say(`Finished the interrupted step ${step}.`)
  else say(`The interrupted step ${step} could not be finished: ${error.message}`)
}

function listenWith(tls: WizardTls | null, handler: RequestListener): Server {
  if (tls === null) return createServer({ requestTimeout: 60_000, headersTimeout: 10_000 }, handler)
  const { certificate: cert, key } = tls
  return createTlsServer({ cert, key, minVersion: 'TLSv1.2', requestTimeout: 60_000, headersTimeout: 10_000 }, handler)
}

function listening(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => resolve(server.address() as AddressInfo))
  })
}
