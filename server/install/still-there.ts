/**
 * What the ledger says was made and is there yet, as far as this machine can tell without asking far: files of certificates
 * and passwords, configurations of services, and the account of a service that does not listen or misses something (one that
 * is ready has logged in).
 */
import { access, readFile } from 'node:fs/promises'
import { z } from 'zod'
import { readPrivateFile } from '../../lib/config/private-file.ts'
import { openPool } from '../../lib/database/pool.ts'
import { type ServiceName, serviceNames } from '../../services/catalog.ts'
import { identityFiles } from '../deploy/identity-files.ts'
import { readDeployedConfig, runFolder } from '../deploy/process/run-folder.ts'
import { isListening, reachOf } from '../deploy/process/service-request.ts'
import type { SeenService, ServiceState } from '../deploy/target.ts'
import { databaseCredential } from '../steps/database/apply.ts'
import { credentialPath } from './secrets.ts'
import type { LedgerRow } from './store.ts'

/**
 * @param seen services as they were last seen, where somebody has looked
 * @returns the rows without those of things that are gone: to a plan they are missing. Never throws for what cannot be told.
 */
export async function stillThere(
  ledger: readonly LedgerRow[],
  stateDir: string,
  seen: readonly SeenService[]
): Promise<readonly LedgerRow[]> {
  const states = new Map(seen.map(({ name, state }) => [name, state]))
  const deployed = new Set(ledger.filter(({ kind }) => kind === 'service').map(({ name }) => name))
  const losses = serviceNames
    .filter((service) => deployed.has(service))
    .map(async (service) => [service, await lossOf(service, stateDir, states.get(service))] as const)
  const gone = new Map(await Promise.all(losses))
  const lost = await Promise.all(ledger.map((row) => isLost(row, gone, stateDir)))
  return ledger.filter((_, index) => lost[index] === false)
}

/** A service that is to be deployed again. Not one whose PIN was rejected: it is started by who knows another one. */
export const isDown: ReadonlySet<ServiceState> = new Set(['stopped', 'backing-off'])

interface Loss {
  readonly down: boolean
  readonly configuration: boolean
  readonly account: boolean
}

async function isLost(
  { kind, name, state }: LedgerRow,
  gone: ReadonlyMap<ServiceName, Loss>,
  stateDir: string
): Promise<boolean> {
  if (state !== 'done') return false
  if (kind === 'certificate') {
    const { certificate, key } = identityFiles(stateDir, name)
    return !((await exists(certificate)) && (await exists(key)))
  }
  // With another password it has to be started again.
  const loss = kind === 'service' ? gone.get(name as ServiceName) : undefined
  if (loss !== undefined) return loss.down || loss.configuration || loss.account
  if (kind !== 'database-user') return false
  const user = name.slice(0, name.lastIndexOf('@'))
  return [...gone].some(([service, { account }]) => account && user.endsWith(`_${service}`))
}

const databaseOf = z.object({
  database: z.object({
    host: z.string(),
    port: z.int(),
    name: z.string(),
    user: z.string(),
    tlsCa: z.string().optional()
  })
})

async function lossOf(service: ServiceName, stateDir: string, seen: ServiceState | undefined): Promise<Loss> {
  const config = await readDeployedConfig(runFolder(stateDir, service))
  const password = await readPrivateFile(credentialPath(stateDir, databaseCredential(service)))
  const down = seen !== undefined && isDown.has(seen)
  const loss = { down, configuration: config === null, account: password === null }
  const reach = reachOf(config)
  const parsed = databaseOf.safeParse(config)
  if (password === null || reach === null || !parsed.success) return loss
  if (seen !== 'unhealthy' && (await isListening(reach))) return loss
  return { ...loss, account: await isRefused(parsed.data.database, password.trimEnd()) }
}

const refusals: ReadonlySet<string> = new Set(['ER_ACCESS_DENIED_ERROR', 'ER_DBACCESS_DENIED_ERROR'])

/** True only when the server says so: one that does not answer says nothing of an account. */
async function isRefused(
  { name, tlsCa: file, ...account }: z.infer<typeof databaseOf>['database'],
  password: string
): Promise<boolean> {
  // Without its CA nobody is told a password.
  const tlsCa = file === undefined ? undefined : await readFile(file, 'utf8').catch(() => null)
  if (tlsCa === null) return false
  const pool = openPool({ ...account, database: name, password, tlsCa }, 1)
  try {
    await pool.query('SELECT 1')
    return false
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && refusals.has(String(thrown.code))
  } finally {
    await pool.end()
  }
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false
  )
}
