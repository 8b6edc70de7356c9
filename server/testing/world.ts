/** One install of its own over the shared servers: a state folder, a partition, names and ports, by both doors. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { RowDataPacket } from 'mysql2/promise'
import { stringify } from 'yaml'
import { processesOf } from '../../e2e/world/processes.ts'
import { openPool } from '../../lib/database/pool.ts'
import { issueEvaluationLicense } from '../../lib/license/evaluation-issuer.ts'
import { freePort } from '../../sandbox/ports.ts'
import { newPassword } from '../../sandbox/secrets.ts'
import { freshName, sharedParts, sharedSandbox } from '../../sandbox/testing.ts'
import { createLunaPartition, type LunaPartition } from '../../sandbox/tokens.ts'
import { type ServiceName, serviceNames } from '../../services/catalog.ts'
import type { StepId } from '../steps/step.ts'
import { type Keyscaler, startKeyscaler } from './keyscaler.ts'

export type Answers = Readonly<Record<string, unknown>>
export type AnswersByStep = Readonly<Record<StepId, Answers>>

export interface InstallWorld {
  readonly dir: string
  readonly stateDir: string
  readonly luna: LunaPartition
  readonly database: string
  readonly answers: AnswersByStep
  readonly ports: Readonly<Record<ServiceName, number>>
  /** Writes an answers file (0600) with these answers in place of the usual ones. @returns its path */
  readonly answersFile: (over?: Partial<AnswersByStep>) => string
  readonly apply: (answersFile: string, ...flags: readonly string[]) => Keyscaler
  /** The same with another program before it, which runs it (strace). */
  readonly applyUnder: (program: readonly string[], answersFile: string, ...flags: readonly string[]) => Keyscaler
  /** `keyscaler config validate`, counted at this install's state folder. */
  readonly validate: (answersFile: string, ...flags: readonly string[]) => Keyscaler
  readonly plan: (answersFile: string, ...flags: readonly string[]) => Keyscaler
  readonly destroy: (...flags: readonly string[]) => Keyscaler
  /** At the same port each time; says what it does (log level info). */
  readonly serve: () => Keyscaler
  /** Any other command on this install. */
  readonly run: (...args: readonly string[]) => Keyscaler
  readonly url: string
  /** As the administrator of the server, within the install's database. */
  readonly query: (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>
  /** "pid command" of every living process of this install, agents and probes included. */
  readonly processes: () => readonly string[]
  /** Ends what it started, and removes everything. */
  readonly close: () => Promise<void>
}

export interface WorldOptions {
  /** Where `keyscaler` finds the database, when something stands in between. */
  readonly databasePort?: number
  /** The checkout that `keyscaler` is of; absent: this one. */
  readonly checkout?: string
  /** Asked at each start: what is added to the environment of `keyscaler`. */
  readonly environment?: () => Readonly<Record<string, string>>
}

/** Services stop within ten seconds. */
const goneWithinMs = 12_000

export async function openInstallWorld(options: WorldOptions = {}): Promise<InstallWorld> {
  const dir = mkdtempSync(join(tmpdir(), 'ks-install-'))
  const stateDir = join(dir, 'state')
  const { mariadb, memcached, kafka } = await sharedSandbox(sharedParts)
  const luna = await createLunaPartition(join(dir, 'luna'), dir)
  const database = freshName('install')
  const license = await issueEvaluationLicense(stateDir, { licensee: 'Killed often', devices: 10, days: 30 })
  const ports = Object.fromEntries(
    await Promise.all(serviceNames.map(async (name) => [name, await freePort()]))
  ) as Record<ServiceName, number>
  const hosts = Object.fromEntries(serviceNames.map((name) => [name, `https://127.0.0.1:${ports[name]}`]))
  const administrator = newPassword()
  const answers: AnswersByStep = {
    welcome: { acceptTerms: true },
    database: {
      dbHost: mariadb.host,
      dbPort: options.databasePort ?? mariadb.port,
      dbName: database,
      dbUser: mariadb.user,
      dbPassword: mariadb.password
    },
    kms: {
      keyStore: 'gemalto-safenet',
      slot: luna.slot,
      partition: luna.label,
      password: luna.pin,
      library: luna.module,
      confPath: luna.confPath,
      kmsHost: hosts.kms
    },
    memcached: { servers: memcached.server, prefix: `${database}:` },
    account: {
      tenant: 'acme',
      fullName: 'Ada Lovelace',
      email: 'ada@acme.example',
      password: administrator,
      passwordAgain: administrator
    },
    license: { license },
    kafka: {
      security: 'PLAINTEXT',
      brokers: kafka.brokers.join(','),
      topicPrefix: database,
      partitions: 1,
      replication: 1
    },
    dae: { daeHost: hosts.dae },
    mqs: { mqsHost: hosts.mqs },
    cp: { cpHost: hosts.cp },
    complete: {}
  }
  const pool = openPool(mariadb, 2)
  const wizardPort = await freePort()
  const { checkout } = options
  const surroundings = { confPath: luna.confPath, home: dir, kafka: kafka.kind, ...(checkout && { checkout }) }
  const started: Keyscaler[] = []
  let closed = false
  const startUnder = (under: readonly string[], args: readonly string[]) => {
    if (closed) throw new Error('this install is closed')
    const environment = options.environment?.() ?? {}
    const keyscaler = startKeyscaler([...args, '--state', stateDir], { ...surroundings, environment, under })
    started.push(keyscaler)
    return keyscaler
  }
  const start = (...args: readonly string[]) => startUnder([], args)
  let files = 0
  return {
    dir,
    stateDir,
    luna,
    database,
    answers,
    ports,
    answersFile: (over = {}) => {
      const path = join(dir, `answers-${++files}.yaml`)
      const text = stringify({ apiVersion: 'setup/v1', steps: { ...answers, ...over } })
      writeFileSync(path, text, { mode: 0o600 })
      return path
    },
    apply: (file, ...flags) => start('apply', file, ...flags),
    applyUnder: (program, file, ...flags) => startUnder(program, ['apply', file, ...flags]),
    validate: (file, ...flags) => start('config', 'validate', file, ...flags),
    plan: (file, ...flags) => start('plan', file, ...flags),
    destroy: (...flags) => start('destroy', ...flags),
    serve: () => start('serve', '--port', String(wizardPort), '--log-level', 'info'),
    run: (...args) => start(...args),
    url: `http://127.0.0.1:${wizardPort}`,
    query: async (sql) => {
      const [rows] = await pool.query<RowDataPacket[]>(sql.replaceAll('{db}', `\`${database}\``))
      return rows
    },
    processes: () => processesOf(dir),
    close: async () => {
      closed = true
      await Promise.all(started.map((keyscaler) => keyscaler.stop()))
      for (const keyscaler of started) keyscaler.dropLifeline()
      const giveUpAt = performance.now() + goneWithinMs
      while (processesOf(dir).length > 0 && performance.now() < giveUpAt) await pause(20)
      await pool.query(`DROP DATABASE IF EXISTS \`${database}\``)
      await pool.end()
      rmSync(dir, { recursive: true, force: true })
    }
  }
}
