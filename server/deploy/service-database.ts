/** How a deployed service reaches MySQL: the answers of the database step, with a user of its own. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { getCACertificates } from 'node:tls'
import { z } from 'zod'
import { writePrivateFile } from '../../lib/config/private-file.ts'
import { serviceUserName } from '../../lib/database/service-user.ts'
import type { ServiceName } from '../../services/catalog.ts'

const databaseValues = z.object({
  dbHost: z.string(),
  dbPort: z.number(),
  dbName: z.string(),
  dbTls: z.boolean().default(false),
  dbCa: z.string().optional()
})

export interface ServiceDatabase {
  readonly host: string
  readonly port: number
  readonly name: string
  readonly user: string
  readonly passwordFile: string
  /** PEM file; present = TLS. */
  readonly tlsCa?: string
}

/** @param answers kept values of the database step */
export async function serviceDatabase(
  stateDir: string,
  service: ServiceName,
  answers: Readonly<Record<string, unknown>>
): Promise<ServiceDatabase> {
  const { dbHost, dbPort, dbName, dbTls, dbCa } = databaseValues.parse(answers)
  const user = serviceUserName(dbName, service)
  // Made by the database step, which keeps the password under this name.
  const passwordFile = join(stateDir, 'credentials', `database-${service}`)
  const reach = { host: dbHost, port: dbPort, name: dbName, user, passwordFile }
  if (!dbTls) return reach
  const tlsCa = join(stateDir, 'tls', 'database-ca.crt')
  // Without a CA of its own the server was checked against the roots that this system trusts.
  const wanted = dbCa ?? getCACertificates('system').join('\n')
  if ((await readFile(tlsCa, 'utf8').catch(() => null)) !== wanted) await writePrivateFile(tlsCa, wanted)
  return { ...reach, tlsCa }
}
