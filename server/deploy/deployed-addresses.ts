/** Where the services of an install were deployed to, and which of them run; nobody is asked. */
import { type ServiceName, serviceNames } from '../../services/catalog.ts'
import { readLivingRecord } from './process/pid-record.ts'
import { readDeployedConfig, runFolder } from './process/run-folder.ts'
import { reachOf } from './process/service-request.ts'

/** Those that are deployed, by name. */
export async function deployedAddresses(stateDir: string): Promise<Readonly<Partial<Record<ServiceName, string>>>> {
  const addresses = await Promise.all(
    serviceNames.map(async (name) => [name, reachOf(await readDeployedConfig(runFolder(stateDir, name)))?.address])
  )
  return Object.fromEntries(addresses.filter(([, address]) => address !== undefined))
}

/** Those whose recorded process lives. */
export async function runningServices(stateDir: string): Promise<readonly ServiceName[]> {
  const living = await Promise.all(
    serviceNames.map(async (name) => ((await readLivingRecord(runFolder(stateDir, name).pid)) === null ? [] : [name]))
  )
  return living.flat()
}
