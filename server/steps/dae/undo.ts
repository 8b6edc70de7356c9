/** Takes away what the DAE step made. */
import type { Undos } from '../undo-context.ts'
import { undoKeys } from '../undo-keys.ts'
import { undoDeployment } from '../undo-service.ts'

export const undoDae: Undos = {
  ...undoDeployment,
  'certificate-authority': undoKeys((name) => ({ purposes: ['tenant-ca'], tenant: name.replace('tenant/', '') }))
}
