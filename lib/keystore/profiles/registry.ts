import type { KeyStoreConfig } from '../keystore.ts'
import { gemaltoSafenet } from './gemalto-safenet.ts'
import { nss } from './nss.ts'
import type { KeyStoreProfile } from './profile.ts'

/** Every key store that can be chosen. */
export const keyStoreProfiles: Readonly<Record<KeyStoreConfig['profile'], KeyStoreProfile>> = {
  'gemalto-safenet': gemaltoSafenet,
  nss
}

export function profileOf(config: KeyStoreConfig): KeyStoreProfile {
  return keyStoreProfiles[config.profile]
}
