/** Takes away what the KMS step made. */
import { inspectNssFolder, removeNssStore } from '../../../lib/keystore/nss-folder.ts'
import { readKeyStoreRecord } from '../../checks/key-store/key-store-record.ts'
import type { Undo, Undos } from '../undo-context.ts'
import { undoKeys } from '../undo-keys.ts'
import { undoDeployment } from '../undo-service.ts'

const undoOwnKeys = undoKeys((purpose) => ({ purposes: [purpose], tenant: '' }))

/** The software key store that we made, after its keys: another install may have put keys of its own in it since. */
const undoKeyStore: Undo = async (folder, { stateDir, confirmed, keyStore }) => {
  if ((await inspectNssFolder(folder)).fresh) return 'absent'
  const record = await readKeyStoreRecord(stateDir)
  const byHand = `by hand: rm -r ${folder}`
  if (record?.folder !== folder) return { left: `it is not the key store of this install any more; ${byHand}` }
  if (confirmed.keys !== record.label) return { left: `--delete-keys "${record.label}" was not given; ${byHand}` }
  const store = await keyStore()
  if (store === null || !(await store.isEmpty()))
    return { left: `keys that are not of this install are in it; ${byHand}` }
  await store.close()
  await removeNssStore(folder)
  return 'removed'
}

export const undoKms: Undos = {
  ...undoDeployment,
  key: undoOwnKeys,
  'certificate-authority': undoOwnKeys,
  'key-store': undoKeyStore
}
