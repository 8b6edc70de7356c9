/** A DAE as the wizard deploys it: a real KMS with its key in a token, a tenant CA, a licence, its own database user. */
import type { RowDataPacket } from 'mysql2/promise'
import { utcNow } from '../../../lib/database/pool.ts'
import type { Role } from '../../../lib/service/roles.ts'
import { file } from '../../../lib/x509/testing.ts'
import { freshName, sharedSandbox } from '../../../sandbox/testing.ts'
import { newInstall, type RunningKms } from '../../kms/testing.ts'
import type { DatabaseLogin } from '../../testing/database.ts'
import type { Identity } from '../../testing/identities.ts'
import { baseConfig, type RunningService, run } from '../../testing/service-process.ts'
import { startProxy, type TcpProxy } from '../../testing/tcp-proxy.ts'
import { atEnd } from '../../testing/test-file.ts'

const tenant = 'Example'

export interface DaeInstall {
  readonly kms: RunningKms
  readonly login: DatabaseLogin
  /** Between the DAE and its database, and between it and the KMS. */
  readonly proxies: { readonly database: TcpProxy; readonly kms: TcpProxy }
  /** PEM files. */
  readonly caFile: string
  readonly caPem: string
  readonly identity: (role: Role) => Identity
  readonly config: Awaited<ReturnType<typeof daeConfigOf>>
  readonly start: () => Promise<RunningService>
  readonly sql: (text: string, values?: readonly (string | Buffer)[]) => Promise<RowDataPacket[]>
  /** Registers by the API and answers the one-time secret. */
  readonly register: (dae: RunningService, deviceName: string) => Promise<string>
  /** What is on record now: rows by table, and what the KMS was asked to sign. */
  readonly counts: () => Promise<Counts>
}

export interface Counts {
  readonly signatures: number
  readonly reserved: number
  readonly issued: number
  readonly discarded: number
  readonly devices: number
  readonly used: number
  readonly events: number
}

export async function newDae(): Promise<DaeInstall> {
  const install = await newInstall('gemalto-safenet')
  const kms = await install.start()
  const [{ memcached }] = await Promise.all([sharedSandbox(['memcached']), kms.listening()])
  const { pool } = install.database
  const { keyId, certificate } = await kms.client('wizard').createTenantCa({
    tenant,
    subject: 'CN=Example Device CA, O=Example, C=GB',
    algorithm: 'EC-P256',
    days: 3650
  })
  const sql = async (text: string, values: readonly (string | Buffer)[] = []) => {
    const [rows] = await pool.query<RowDataPacket[]>(text, [...values])
    return rows
  }
  const caFile = file(certificate)
  await sql(
    'INSERT INTO certificate_authorities (key_id, tenant, certificate, device_days, created_at) VALUES (?, ?, ?, 365, ?)',
    [keyId, tenant, Buffer.from(certificate.replace(/-----[^-]*-----|\s/g, ''), 'base64'), utcNow()]
  )
  await sql(
    `INSERT INTO licenses (id, token, licensee, device_limit, not_after, installed_at)
     VALUES ('test', '', 'Example', 1000, '2099-01-01', ?)`,
    [utcNow()]
  )
  const login = await install.database.loginOf('dae')
  const [database, kmsProxy] = await Promise.all([
    startProxy(login),
    startProxy({ host: '127.0.0.1', port: Number(new URL(kms.address).port) })
  ])
  atEnd(() => Promise.all([database.close(), kmsProxy.close()]))
  const config = await daeConfigOf(install.identity('dae'), { ...login, port: database.port }, kmsProxy.port, memcached)

  return {
    kms,
    login,
    proxies: { database, kms: kmsProxy },
    caFile,
    caPem: certificate,
    identity: install.identity,
    config,
    start: () => run('dae', config),
    sql,
    register: async (dae, deviceName) => {
      const answer = await dae.ask('/api/v1/registrations', { by: install.identity('cp'), body: { deviceName } })
      if (answer.status !== 201) throw new Error(`registering ${deviceName}: ${answer.status} ${answer.text}`)
      return JSON.parse(answer.text).secret
    },
    counts: async () => {
      const [row] = await sql(`SELECT
        (SELECT COUNT(*) FROM kms_audit WHERE action = 'device-certificate.issue') AS signatures,
        (SELECT COUNT(*) FROM certificates WHERE state = 'reserved') AS reserved,
        (SELECT COUNT(*) FROM certificates WHERE state = 'issued') AS issued,
        (SELECT COUNT(*) FROM certificates WHERE state = 'discarded') AS discarded,
        (SELECT COUNT(*) FROM devices) AS devices,
        (SELECT COUNT(*) FROM registrations WHERE used_at IS NOT NULL) AS used,
        (SELECT COUNT(*) FROM outbox) AS events`)
      return { ...row } as Counts
    }
  }
}

async function daeConfigOf(
  identity: Identity,
  login: DatabaseLogin,
  kmsPort: number,
  memcached: { readonly server: string }
) {
  return {
    ...(await baseConfig(identity, login)),
    kms: { address: `https://127.0.0.1:${kmsPort}` },
    tenant,
    memcached: { servers: [memcached.server], prefix: freshName('dae') },
    deviceTopic: 'keyscaler.devices',
    estLabel: 'acme'
  }
}
