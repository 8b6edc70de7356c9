/** The end of a retired key: only when nothing needs it any more, and only by somebody who names it. */
import type { Pool } from 'mysql2/promise'
import { asDatabaseError } from '../../lib/database/pool.ts'
import { AppError } from '../../lib/errors/app-error.ts'
import type { KeyRing } from './key-ring.ts'
import { countNamed } from './key-rotation.ts'
import type { KeyStoreLink } from './key-store-link.ts'
import type { RingKey } from './key-table.ts'

/**
 * @param label the key's, letter by letter
 * @throws AppError not-found; conflict when it is in use; invalid-input for another label
 */
export type DestroyKey = (id: string, label: string) => Promise<RingKey>

export function openKeyDestruction(database: Pool, ring: KeyRing, link: KeyStoreLink): DestroyKey {
  return async (id, label) => {
    const key = await ring.find(id)
    if (key === null) throw new AppError('not-found', 'There is no such key.')
    if (key.state === 'destroyed') return key
    if (key.state !== 'retired') {
      throw new AppError('conflict', `"${key.label}" is in use; only a retired key can be destroyed.`, {
        cure: 'Rotate it first.'
      })
    }
    if (label !== key.label) {
      const message = 'Type the label of the key as `keyscaler keys list` shows it.'
      throw new AppError('invalid-input', message, { fields: { label: message } })
    }
    const left = await countNamed(database, [id])
    if (left > 0) {
      throw new AppError('conflict', `${left} data keys are still wrapped by "${label}".`, {
        cure: 'Finish the rotation first: `keyscaler keys rotate`.'
      })
    }
    await link.use((store) => store.destroyKey(id))
    await database.execute(`UPDATE kms_keys SET state = 'destroyed' WHERE id = ?`, [id]).catch((thrown: unknown) => {
      throw asDatabaseError(thrown)
    })
    return { ...key, state: 'destroyed' }
  }
}
