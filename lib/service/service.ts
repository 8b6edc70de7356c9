/**
 * What every service program shares: configuration, HTTPS with mutual TLS, health, metrics, JSON logs, clean stop.
 * A program is `await runService({ name, title, config, start })` and nothing else.
 */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { Pool } from 'mysql2/promise'
import type { Logger } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { z } from 'zod'
import { readConfig } from '../config/config.ts'
import { readPrivateFile } from '../config/private-file.ts'
import { openPool } from '../database/pool.ts'
import { AppError, messageOf } from '../errors/app-error.ts'
import { openLog, pino } from '../log/log.ts'
import { exitCodes } from './exit-codes.ts'
import { leaveExitNote } from './exit-note.ts'
import { registerHealth } from './health.ts'
import { watchLifeline } from './lifeline.ts'
import { noJsonSchemas } from './no-json-schemas.ts'
import { answerProblem, newRequestId } from './problems.ts'
import { awaitWord } from './standby.ts'

/** The part of a configuration that this room uses; services/catalog.ts has the whole. */
export interface ServiceConfig {
  readonly listen: { readonly host: string; readonly port: number }
  readonly tls: { readonly certificate: string; readonly key: string }
  readonly identity: { readonly certificate: string; readonly key: string; readonly ca: string }
  readonly database: {
    readonly host: string
    readonly port: number
    readonly name: string
    readonly user: string
    readonly passwordFile: string
    readonly tlsCa?: string | undefined
  }
  readonly logLevel: string
}

export interface Service<Config> {
  readonly config: Config
  readonly log: Logger
  readonly app: FastifyInstance
  readonly database: Pool
  readonly metrics: Registry
  /** Ends the program from within, after a clean stop: a lost key store's rejected PIN (exit 78). */
  readonly fail: (error: unknown) => void
}

export interface Readiness {
  readonly ready: boolean
  readonly parts: Readonly<Record<string, { readonly ok: boolean; readonly detail: string }>>
}

export interface RunningService {
  readonly ready: () => Promise<Readiness>
  readonly close: () => Promise<void>
}

export interface ServiceSpec<Config> {
  readonly name: string
  readonly title: string
  readonly config: z.ZodType<Config>
  /** What may be loaded before there is a configuration; whatever it starts ends with this process. */
  readonly ahead?: () => void
  readonly start: (service: Service<Config>) => Promise<RunningService>
}

const stopWithinMs = 10_000

/** Runs until it is told to stop; sets the process's exit code. */
export async function runService<Config extends ServiceConfig>(spec: ServiceSpec<Config>): Promise<void> {
  const { values } = parseArgs({
    options: {
      config: { type: 'string' },
      'check-config': { type: 'boolean', default: false },
      standby: { type: 'boolean', default: false }
    }
  })
  if (!values['check-config']) spec.ahead?.()
  if (values.standby) {
    pino()
    awaitWord()
  }
  let config: Config
  try {
    if (values.config === undefined) throw new AppError('invalid-input', 'Give --config FILE.')
    config = await readConfig(spec.config, values.config)
  } catch (thrown) {
    process.stderr.write(`${spec.name}: ${messageOf(thrown)}\n`)
    process.exit(exitCodes.badConfig)
  }
  if (values['check-config']) {
    process.stdout.write(`${spec.name}: ${values.config} is valid.\n`)
    return
  }
  const log = openLog(spec.name, config.logLevel)
  try {
    await serve(spec, config, log, values.config)
  } catch (thrown) {
    log.fatal({ err: thrown }, `${spec.title} could not start: ${messageOf(thrown)}`)
    await leaveExitNote(values.config, exitCodeOf(thrown), thrown)
    process.exit(exitCodeOf(thrown))
  }
}

async function serve<Config extends ServiceConfig>(
  spec: ServiceSpec<Config>,
  config: Config,
  log: Logger,
  configFile: string
) {
  const [app, database] = await Promise.all([openApp(config, log), openDatabase(config)])
  const metrics = new Registry()
  collectDefaultMetrics({ register: metrics })
  let running: RunningService | undefined
  let stopping = false
  const stop = async (code: number, why: string) => {
    if (stopping) return
    stopping = true
    log.info({ why }, 'stopping')
    setTimeout(() => process.exit(code === 0 ? 1 : code), stopWithinMs).unref()
    await app.close().catch((err) => log.error({ err }, 'closing HTTP failed'))
    await running?.close().catch((err) => log.error({ err }, 'closing failed'))
    await database.end().catch(() => {})
    process.exit(code)
  }
  const fail = (error: unknown) => {
    log.fatal({ err: error }, messageOf(error))
    void leaveExitNote(configFile, exitCodeOf(error), error).then(() => stop(exitCodeOf(error), 'failure'))
  }
  process.once('SIGTERM', () => stop(0, 'SIGTERM'))
  process.once('SIGINT', () => stop(0, 'SIGINT'))
  watchLifeline(() => stop(0, 'the sandbox has ended'))

  registerHealth(app, metrics, () => running)
  running = await spec.start({ config, log, app, database, metrics, fail })
  await app.listen({ host: config.listen.host, port: config.listen.port })
}

async function openApp(config: ServiceConfig, log: Logger): Promise<FastifyInstance> {
  const { tls, identity } = config
  const [cert, key, ca] = await Promise.all([
    readFile(tls.certificate, 'utf8'),
    secretFrom(tls.key),
    readFile(identity.ca, 'utf8')
  ])
  // Browsers and devices come without a certificate; routes that need one ask for its role (roles.ts).
  // Roles are for certificates of the internal CA alone: it stands first; roots after it are for our own calls.
  const https = {
    cert,
    key,
    ca: new X509Certificate(ca).toString(),
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2'
  }
  const plain: FastifyServerOptions = {
    loggerInstance: log as FastifyBaseLogger,
    genReqId: newRequestId,
    bodyLimit: 256 * 1024,
    ...noJsonSchemas
  }
  const app = Fastify(Object.assign(plain, { https }))
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler(answerProblem)
  return app
}

async function openDatabase(config: ServiceConfig): Promise<Pool> {
  const { database } = config
  const password = (await secretFrom(database.passwordFile)).trimEnd()
  const tlsCa = database.tlsCa === undefined ? undefined : await readFile(database.tlsCa, 'utf8')
  return openPool({ ...database, database: database.name, password, tlsCa })
}

/** A credential file's content. @throws AppError invalid-input when it is missing */
export async function secretFrom(path: string): Promise<string> {
  const secret = await readPrivateFile(path)
  if (secret === null) throw new AppError('invalid-input', `The credential file ${path} is missing.`)
  return secret
}

function exitCodeOf(thrown: unknown): number {
  if (!(thrown instanceof AppError)) return 1
  if (thrown.code === 'pin-rejected') return exitCodes.pinRejected
  return thrown.code === 'invalid-input' ? exitCodes.badConfig : 1
}
