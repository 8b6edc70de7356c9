/** What the packages are called here (packaging/prerequisites.json), and who may not be helped. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../../../lib/errors/app-error.ts'
import type { HostSeen } from '../../checks/host.ts'
import { unsupported } from '../../steps/welcome/host-table.ts'

const named = z.strictObject({ package: z.string(), unit: z.string().optional() })
const packageNames = z.strictObject({
  ids: z.array(z.string()),
  /** The first version that these names are for; the first row that fits counts. */
  from: z.number(),
  manager: z.enum(['apt', 'dnf']),
  time: named,
  databaseServer: named,
  memcached: named,
  java: named
})
export type PackageNames = z.infer<typeof packageNames>

const file = join(import.meta.dirname, '../../../packaging/prerequisites.json')

/**
 * @returns null: a system whose names are not known here, so nothing is installed on it
 * @throws AppError check-failed where KeyScaler cannot run at all (EL7), with the reason
 */
export async function packageNamesFor(host: HostSeen): Promise<PackageNames | null> {
  const why = unsupported('system', host) ?? unsupported('processor', host)
  if (why !== null) {
    throw new AppError('check-failed', why, {
      cure: 'Use Debian 12, Ubuntu 22.04 or the RHEL family from 8 on, on x86-64.'
    })
  }
  const rows = z.array(packageNames).parse(JSON.parse(await readFile(file, 'utf8')))
  const { id, like, version } = host.distribution
  // Rocky, Alma, Oracle and CentOS say that they are like rhel and number as it does; what is like Debian does not.
  const names = [id, ...like.filter((other) => other === 'rhel')]
  return rows.find(({ ids, from }) => ids.some((one) => names.includes(one)) && version >= from) ?? null
}
