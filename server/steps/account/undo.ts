/** Takes away the keys of the tenant; its rows go with the schema. */
import type { Undos } from '../undo-context.ts'
import { undoKeys } from '../undo-keys.ts'

export const undoAccount: Undos = {
  key: undoKeys((name) => ({ purposes: ['tenant', 'signing'], tenant: name.replace('tenant/', '') }))
}
