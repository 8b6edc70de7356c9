/** Keys in a token: gone for good once destroyed, and with them all that they protect. Never without the token's name typed. */
import type { RowDataPacket } from 'mysql2/promise'
import { readKeyStoreRecord } from '../checks/key-store/key-store-record.ts'
import type { Undo, UndoContext, Undone } from './undo-context.ts'

type KeyRow = RowDataPacket & { readonly id: string; readonly label: string }

/** The rows of kms_keys that a ledger name stands for, every version: `master`, `service-ca`, `tenant/<name>`. */
export function undoKeys(
  purposeOf: (name: string) => { readonly purposes: readonly string[]; readonly tenant: string }
): Undo {
  return async (name, context) => {
    const { purposes, tenant } = purposeOf(name)
    const [keys] = await context
      .database()
      .query<KeyRow[]>('SELECT id, label FROM kms_keys WHERE purpose IN (?) AND tenant = ? ORDER BY created_at', [
        purposes,
        tenant
      ])
    return keys.length === 0 ? 'absent' : await destroyKeys(keys, context)
  }
}

async function destroyKeys(keys: readonly KeyRow[], context: UndoContext): Promise<Undone> {
  const record = await readKeyStoreRecord(context.stateDir)
  if (record === null) return 'absent'
  if (context.confirmed.keys !== record.label) {
    const named = keys.map(({ id, label }) => `${label} (CKA_ID ${id})`).join(', ')
    return {
      left: `${named} in ${record.label}, serial ${record.serial}: --delete-keys "${record.label}" was not given; by hand: find them by CKA_ID with the tools of the HSM`
    }
  }
  const store = await context.keyStore()
  if (store === null) return 'absent'
  const destroyed: boolean[] = []
  for (const { id } of keys) destroyed.push(await store.destroyKey(id))
  return destroyed.includes(true) ? 'removed' : 'absent'
}
