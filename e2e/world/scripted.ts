/** The eleven steps for a script: the same answers as data, and the client that sends them with a bearer token. */
import { request } from 'node:http'
import { freePort } from '../../sandbox/ports.ts'
import type { StepId } from '../../server/steps/step.ts'
import type { World } from './world.ts'

export type Answers = Readonly<Record<string, string | boolean | number>>

export interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

/** Every header as it is given, `host` too: fetch would not send them all. */
export function send(url: string, { method = 'POST', headers = {}, body = '' }: Sent): Promise<Answered> {
  const { hostname, port, pathname, search } = new URL(url)
  return new Promise((resolve, reject) => {
    const length = { 'content-length': String(Buffer.byteLength(body)) }
    const options = { hostname, port, path: pathname + search, method, headers: { ...length, ...headers } }
    const sent = request(options, async (answer) => {
      const text = Buffer.concat(await answer.toArray()).toString()
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text })
    })
    sent.once('error', reject)
    sent.end(body)
  })
}

/** Spends the one-time code. @returns the header that a script sends from then on */
export async function bearerOf({ wizard }: World): Promise<{ authorization: string }> {
  const body = JSON.stringify({ code: wizard.code })
  const { text } = await send(`${wizard.url}/setup/session`, { headers: { 'content-type': 'application/json' }, body })
  const { token } = JSON.parse(text)
  return { authorization: `Bearer ${token}` }
}

/** Answers of every step, each service at a free port of its own, so that installs may run side by side. */
export async function scriptedAnswers(
  world: World,
  keyStore: 'gemalto-safenet' | 'nss'
): Promise<Readonly<Record<StepId, Answers>>> {
  const { servers, luna, nss, administrator } = world
  const [kms, dae, mqs, cp] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  const hsm = { slot: luna.slot, partition: luna.label, password: luna.pin }
  const software = { nssFolder: nss.folder, nssPassword: nss.password, nssPasswordAgain: nss.password }
  return {
    welcome: { acceptTerms: true },
    database: {
      dbHost: servers.mariadb.host,
      dbPort: servers.mariadb.port,
      dbName: world.database,
      dbUser: servers.mariadb.user,
      dbPassword: servers.mariadb.password
    },
    kms: {
      keyStore,
      ...(keyStore === 'nss' ? software : hsm),
      kmsHost: `https://localhost:${kms}`
    },
    memcached: { servers: servers.memcached.server, prefix: `${world.database.slice(0, 31)}:` },
    account: {
      tenant: 'acme',
      fullName: 'Ada Admin',
      email: administrator.email,
      password: administrator.password,
      passwordAgain: administrator.password
    },
    license: { license: world.license },
    kafka: {
      brokers: servers.kafka.brokers.join(','),
      security: 'PLAINTEXT',
      topicPrefix: world.topicPrefix,
      partitions: 1,
      replication: 1
    },
    dae: { daeHost: `https://localhost:${dae}` },
    mqs: { mqsHost: `https://localhost:${mqs}` },
    cp: { cpHost: `https://localhost:${cp}` },
    complete: {}
  }
}
