/** What one install needs of its own: a state folder, a partition, an NSS folder, names, and a wizard that serves it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import { issueEvaluationLicense } from '../../lib/license/evaluation-issuer.ts'
import { freePort } from '../../sandbox/ports.ts'
import { newPassword } from '../../sandbox/secrets.ts'
import { freshName, type SharedAddresses, sharedParts, sharedSandbox } from '../../sandbox/testing.ts'
import { createLunaPartition, createNssFolder, type LunaPartition, type NssFolder } from '../../sandbox/tokens.ts'
import { processesOf } from './processes.ts'
import { type RunningWizard, startWizard } from './wizard.ts'

export interface World {
  readonly servers: SharedAddresses
  readonly dir: string
  readonly stateDir: string
  readonly luna: LunaPartition
  readonly nss: NssFolder
  readonly database: string
  readonly topicPrefix: string
  readonly license: string
  readonly administrator: { readonly email: string; readonly password: string }
  /** The one that serves now. */
  readonly wizard: RunningWizard
  /** Starts another at the same address, after this one was stopped or killed. */
  readonly restart: () => Promise<RunningWizard>
  /** As the account of the database administrator. */
  readonly query: (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>
  /** Processes of this install. */
  readonly processes: () => readonly string[]
  /** Every secret that was typed or made for it: none may be seen on a page or in a log. */
  readonly secrets: readonly string[]
  /** Stops the wizard and its services, and removes everything. Idempotent. */
  readonly close: () => Promise<void>
}

export async function openWorld(): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'ks-world-'))
  const stateDir = join(dir, 'state')
  const servers = await sharedSandbox(sharedParts)
  const [luna, port] = await Promise.all([createLunaPartition(join(dir, 'luna'), dir), freePort()])
  const nss = createNssFolder(join(dir, 'nss'), dir)
  const license = await issueEvaluationLicense(stateDir, { licensee: 'Browser stories', devices: 10, days: 30 })
  const administrator = { email: 'ada@acme.example', password: newPassword() }
  const { host, port: databasePort, user, password } = servers.mariadb
  const order = { stateDir, confPath: luna.confPath, home: dir, port, kafka: servers.kafka.kind }
  const database = freshName('e2e')
  let wizard = await startWizard(order)
  let closed: Promise<void> | undefined

  const query = async (sql: string) => {
    const connection = await mysql.createConnection({ host, port: databasePort, user, password })
    try {
      const [rows] = await connection.query<mysql.RowDataPacket[]>(sql)
      return rows
    } finally {
      await connection.end()
    }
  }
  return {
    servers,
    dir,
    stateDir,
    luna,
    nss,
    database,
    topicPrefix: freshName('e2e'),
    license,
    administrator,
    get wizard() {
      return wizard
    },
    restart: async () => {
      wizard = await startWizard(order)
      return wizard
    },
    query,
    processes: () => processesOf(dir),
    secrets: [password, luna.pin, nss.password, administrator.password],
    close: () => {
      closed ??= (async () => {
        await wizard.stop()
        await query(`DROP DATABASE IF EXISTS \`${database}\``)
        rmSync(dir, { recursive: true, force: true })
      })()
      return closed
    }
  }
}
