/** Whether a KMS was deployed for a key store: then a new password of it is the KMS's business, too. */
import type { KeyStoreConfig } from '../../lib/keystore/keystore.ts'
import { isSameKeyStore, type KeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import { readDeployedConfig, runFolder } from '../deploy/process/run-folder.ts'

export async function kmsRunsWith(stateDir: string, config: KeyStoreConfig, record: KeyStoreRecord): Promise<boolean> {
  return isSameKeyStore(config, record) && (await kmsIsDeployed(stateDir))
}

async function kmsIsDeployed(stateDir: string): Promise<boolean> {
  return (await readDeployedConfig(runFolder(stateDir, 'kms'))) !== null
}
