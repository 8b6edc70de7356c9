/** A token of the benchmark's own: SoftHSM behind the Luna stand-in, which can be slowed down. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { KeyStoreConfig } from '../lib/keystore/keystore.ts'
import { openKeyStore } from '../lib/keystore/open-key-store.ts'
import { openPinGuard } from '../lib/keystore/pin-guard.ts'
import { setLunaFaults } from '../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../sandbox/luna/token.ts'
import { newPassword } from '../sandbox/secrets.ts'

export interface BenchToken extends LunaToken {
  readonly pin: string
  readonly config: KeyStoreConfig
  /** Folder of the PIN guard, as the KMS's configuration names it. */
  readonly pinGuard: string
  /** @param sessions how many threads with a session each sign for it */
  readonly open: (sessions: number) => ReturnType<typeof openKeyStore>
  /** From now on C_Sign takes so much longer, as over a network; 0 ends it. */
  readonly delaySigning: (ms: number) => Promise<void>
}

/** @param dir empty, ours alone */
export async function newToken(dir: string): Promise<BenchToken> {
  const folder = join(dir, 'token')
  const state = join(dir, 'state')
  for (const made of [folder, state]) mkdirSync(made, { recursive: true, mode: 0o700 })
  const pin = newPassword()
  const token = await createLunaToken(folder, { pin, soPin: newPassword() })
  const { module, confPath, slot, label, serial } = token
  const config: KeyStoreConfig = { profile: 'gemalto-safenet', module, confPath, slot, partition: label, serial }
  const guard = openPinGuard(state)
  return {
    ...token,
    pin,
    config,
    pinGuard: join(state, 'pin-guard'),
    open: (sessions) => openKeyStore(config, pin, { guard, sessions }),
    delaySigning: (ms) => setLunaFaults(folder, ms === 0 ? '' : `C_Sign=lat:${Math.round(ms * 1000)}`)
  }
}
