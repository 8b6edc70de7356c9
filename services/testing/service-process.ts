/** A service's own program with a configuration like the wizard's, and questions to it over HTTPS. */
import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { freePort } from '../../sandbox/ports.ts'
import { freshName } from '../../sandbox/testing.ts'
import type { ServiceName } from '../catalog.ts'
import type { DatabaseLogin } from './database.ts'
import type { Identity } from './identities.ts'
import { type Program, startProgram } from './program.ts'
import { dir } from './test-file.ts'

export interface RunningService extends Program {
  readonly address: string
  /** PEM file of the internal CA. */
  readonly ca: string
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
export async function baseConfig(identity: Identity, login: DatabaseLogin) {
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
export async function run<Config extends AnyConfig>(
  service: ServiceName,
  config: Config,
  ...args: readonly string[]
): Promise<RunningService> {
  const file = join(dir, `${freshName(service)}.json`)
  await writePrivateFile(file, JSON.stringify(config))
  const { address, identity } = config
  const program = startProgram(service, ['--config', file, ...args], 'SIGKILL')
  if (args.length === 0) await program.listening()
  return {
    ...program,
    address,
    ca: identity.ca,
    ask: (path, question = {}) => ask(new URL(path, address), identity.ca, question)
  }
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
