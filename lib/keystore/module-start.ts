import { existsSync } from 'node:fs'
import { AppError } from '../errors/app-error.ts'
import type { KeyStoreConfig } from './keystore.ts'
import { nss, nssParameters, nssTokenLabel } from './profiles/nss.ts'
import type { ModuleStart } from './profiles/profile.ts'

/**
 * How the library of a configuration is started. Pure but for the look for libsoftokn3.
 * @param access `read` leaves an NSS folder as it is
 * @throws AppError invalid-input for an NSS folder that cannot be named safely, not-found when NSS is not installed
 */
export function moduleStart(config: KeyStoreConfig, access: 'read' | 'write'): ModuleStart {
  if (config.profile === 'nss') {
    return {
      module: nssModule(config.module),
      libraryParameters: nssParameters(config.folder, access),
      environment: {},
      want: { label: nssTokenLabel }
    }
  }
  const { module, confPath, slot, partition, serial } = config
  return {
    module,
    environment: confPath === undefined ? {} : { ChrystokiConfigurationPath: confPath },
    want: { slot, label: partition, ...(serial === undefined ? {} : { serial }) }
  }
}

function nssModule(given: string | undefined): string {
  const module = given ?? nss.libraryPaths.find((path) => existsSync(path))
  if (module === undefined) {
    throw new AppError('not-found', 'The NSS library libsoftokn3.so was not found.', {
      cure: 'Install the Debian package libnss3, or give the path of libsoftokn3.so.'
    })
  }
  return module
}
