/** Takes away what the KMS step made. */
import type { Undos } from '../undo-context.ts'
import { undoKeys } from '../undo-keys.ts'
import { undoDeployment } from '../undo-service.ts'

const undoOwnKeys = undoKeys((purpose) => ({ purposes: [purpose], tenant: '' }))

export const undoKms: Undos = { ...undoDeployment, key: undoOwnKeys, 'certificate-authority': undoOwnKeys }
