import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LunaState, setLunaState } from '../../sandbox/luna/state.ts'
import { createLunaToken, type LunaToken } from '../../sandbox/luna/token.ts'
import { keyStoreContract } from './keystore.contract.ts'
import { openKeyStore } from './open-key-store.ts'
import { openPinGuard } from './pin-guard.ts'

const folder = () => mkdtempSync(join(tmpdir(), 'keystore-'))
const nssFolder = folder()
const nssStore = { profile: 'nss', folder: join(nssFolder, 'store') } as const
keyStoreContract({
  name: 'NSS softoken',
  prepare: async () => undefined,
  open: async () =>
    await openKeyStore(nssStore, 'a long nss password', { guard: openPinGuard(nssFolder), create: true }),
  cleanUp: async () => await rm(nssFolder, { recursive: true })
})

const pin = 'crypto-officer-1'
const moods: readonly (readonly [name: string, Partial<LunaState>])[] = [
  ['SoftHSM behind the Luna stand-in', {}],
  ['a FIPS partition', { gcm: 'token-iv', vendorWrap: true, vendorRsa: true, refusePrivateWrap: true }],
  ['a FIPS partition that wants its IV as the parameter', { gcm: 'token-iv-parameter', vendorRsa: true }],
  ['a partition that allows one session', { maxSessions: 1 }]
]
for (const [name, mood] of moods) {
  const lunaFolder = folder()
  let token: LunaToken
  keyStoreContract({
    name,
    prepare: async () => {
      token = await createLunaToken(lunaFolder, { pin, soPin: 'partition-so-1' })
      await setLunaState(lunaFolder, mood)
    },
    open: async () => {
      const { module, confPath, slot, label, serial } = token
      const config = { profile: 'gemalto-safenet', module, confPath, slot, partition: label, serial } as const
      return await openKeyStore(config, pin, { guard: openPinGuard(lunaFolder) })
    },
    cleanUp: async () => await rm(lunaFolder, { recursive: true })
  })
}
