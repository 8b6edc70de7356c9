/** Where the services of an install were deployed to; nobody is asked. */
import { type ServiceName, serviceNames } from '../../services/catalog.ts'
import { readDeployedConfig, runFolder } from './process/run-folder.ts'
import { reachOf } from './process/service-request.ts'

/** Those that are deployed, by name. */
export async function deployedAddresses(stateDir: string): Promise<Readonly<Partial<Record<ServiceName, string>>>> {
  const addresses = await Promise.all(
    serviceNames.map(async (name) => [name, reachOf(await readDeployedConfig(runFolder(stateDir, name)))?.address])
  )
  return Object.fromEntries(addresses.filter(([, address]) => address !== undefined))
}
