/** A service's own program as a child, with a configuration like the wizard's; and questions to it over HTTPS. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { after } from 'node:test'
import type { Pool } from 'mysql2/promise'
import { writePrivateFile } from '../../../lib/config/private-file.ts'
import type { DatabaseConnection } from '../../../lib/database/pool.ts'
import { freePort } from '../../../sandbox/ports.ts'
import { freshName } from '../../../sandbox/testing.ts'
import { serviceRights } from '../../../server/steps/database/service-rights.ts'
import type { ServiceName } from '../../catalog.ts'

const root = resolve(import.meta.dirname, '../../..')
/** Folder of this test file, gone with it. */
const dir = mkdtempSync(join(tmpdir(), 'service-test-'))
const ends: (() => unknown)[] = []
after(async () => {
  for (const end of ends.reverse()) await end()
  rmSync(dir, { recursive: true, force: true })
})

/** Done when the test file ends, last one first. */
export function atEnd(end: () => unknown): void {
  ends.push(end)
}

export interface Identity {
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

export interface DatabaseLogin extends DatabaseConnection {
  readonly database: string
  /** The account's name and host, quoted for GRANT. */
  readonly account: string
}

/** A database user with the rights that the wizard gives to this service, and no other. */
export async function serviceLogin(
  setup: Pool,
  server: { readonly host: string; readonly port: number; readonly database: string },
  service: ServiceName
): Promise<DatabaseLogin> {
  const { host, port, database } = server
  const [user, password] = [freshName(service), randomBytes(12).toString('hex')]
  const account = `'${user}'@'127.0.0.1'`
  await setup.query(`CREATE USER ${account} IDENTIFIED BY '${password}'`)
  for (const [table, rights] of Object.entries(serviceRights[service])) {
    await setup.query(`GRANT ${rights.join(', ')} ON ${database}.${table} TO ${account}`)
  }
  return { host, port, user, password, database, account }
}

export interface RunningService {
  readonly address: string
  /** PEM file of the internal CA. */
  readonly ca: string
  readonly child: ChildProcess
  /** Everything that it printed. */
  readonly output: () => string
  /** Settles when a line has been printed that matches, those before included. */
  readonly said: (pattern: RegExp) => Promise<void>
  /** The exit code, or null after a signal. */
  readonly ended: Promise<number | null>
  readonly ask: (path: string, question?: Question) => Promise<Answer>
}

export interface Question {
  readonly method?: string
  readonly by?: Identity
  readonly headers?: Readonly<Record<string, string>>
  /** An object is sent as JSON. */
  readonly body?: string | object
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** The configuration's part that all services share. */
export async function baseConfig(identity: Identity, login: DatabaseConnection & { readonly database: string }) {
  const port = await freePort()
  const passwordFile = join(dir, `password-${port}`)
  await writePrivateFile(passwordFile, login.password)
  return {
    listen: { host: '127.0.0.1', port },
    address: `https://127.0.0.1:${port}`,
    tls: { certificate: identity.certificate, key: identity.key },
    identity,
    database: { host: login.host, port: login.port, name: login.database, user: login.user, passwordFile }
  }
}

export interface AnyConfig {
  readonly address: string
  readonly identity: Identity
}

/** Runs the program; with `--check-config` among the arguments it only reads its configuration. */
export async function run(
  service: ServiceName,
  config: AnyConfig,
  ...args: readonly string[]
): Promise<RunningService> {
  const file = join(dir, `${freshName(service)}.json`)
  await writePrivateFile(file, JSON.stringify(config))
  const child = spawn(process.execPath, [join(root, `services/${service}/main.ts`), '--config', file, ...args], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const lines: string[] = []
  const listeners = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => {
      lines.push(line)
      for (const listener of listeners) listener()
    })
  }
  const ended = once(child, 'close').then(([code]) => (typeof code === 'number' ? code : null))
  ends.push(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  })
  const said = (pattern: RegExp) =>
    new Promise<void>((found) => {
      const look = () => {
        if (!lines.some((line) => pattern.test(line))) return
        listeners.delete(look)
        found()
      }
      listeners.add(look)
      look()
    })
  const running: RunningService = {
    address: config.address,
    ca: config.identity.ca,
    child,
    output: () => lines.join('\n'),
    said,
    ended,
    ask: (path, question = {}) => ask(new URL(path, config.address), config.identity.ca, question)
  }
  if (args.length > 0) return running
  const code = await Promise.race([said(/Server listening/), ended])
  if (code !== undefined) throw new Error(`${service} ended with ${code}:\n${running.output()}`)
  return running
}

function ask(url: URL, ca: string, { method, by, headers = {}, body }: Question): Promise<Answer> {
  const json = typeof body === 'object'
  const credentials = by === undefined ? {} : { cert: readFileSync(by.certificate), key: readFileSync(by.key) }
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers: { ...(json ? { 'content-type': 'application/json' } : {}), ...headers },
        ca: readFileSync(ca),
        agent: false,
        ...credentials
      },
      async (response) => {
        const chunks: Buffer[] = []
        try {
          for await (const chunk of response) chunks.push(chunk)
          const text = Buffer.concat(chunks).toString()
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
        } catch (thrown) {
          reject(thrown)
        }
      }
    )
    sent.on('error', reject)
    sent.end(json ? JSON.stringify(body) : body)
  })
}
