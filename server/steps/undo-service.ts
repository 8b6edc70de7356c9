/** How a deployed service and its certificate are taken away; the same for all four. */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ServiceName } from '../../services/catalog.ts'
import { identityFiles, trustPath } from '../deploy/identity-files.ts'
import type { Undo, Undos } from './undo-context.ts'

const undoService: Undo = async (name, { deploy }) =>
  (await deploy.remove(name as ServiceName)) ? 'removed' : 'absent'

const undoCertificate: Undo = async (name, { stateDir }) => {
  const { certificate, key } = identityFiles(stateDir, name)
  const files = [certificate, key, trustPath(stateDir, name), join(stateDir, 'tls', `${name}-given.crt`)]
  const known = files.some((file) => existsSync(file))
  for (const file of files) await rm(file, { force: true })
  return known ? 'removed' : 'absent'
}

export const undoDeployment: Undos = { service: undoService, certificate: undoCertificate }
