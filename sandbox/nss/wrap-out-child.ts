/** The child side of wrap-out.ts. The PIN comes over IPC and is in no argument, environment or file. */
import pkcs11 from 'pkcs11js'
import { findToken, initialize, loadModule, logIn, openSession } from '../../lib/keystore/module.ts'
import type { ModuleStart } from '../../lib/keystore/profiles/profile.ts'

export interface WrapOutOrder {
  readonly start: ModuleStart
  readonly pin: string
  readonly ids: readonly string[]
  readonly wrappingKey: Uint8Array
}

export interface WrapOutAnswer {
  readonly wrapped: readonly Uint8Array[]
  readonly problem: string | null
}

/** NSS's number for RFC 5649 (pkcs11.md section 2). */
const keyWrapKwp = 0x210b

async function wrapAll({ start, pin, ids, wrappingKey }: WrapOutOrder): Promise<Buffer[]> {
  const library = loadModule(start.module)
  initialize(library, start)
  const { handle } = await findToken(library, start)
  if (handle === null) throw new Error('the token is not there')
  const session = openSession(library, handle)
  if (logIn(library, session, pin) !== null) throw new Error('the password was rejected')
  const known = library.C_CreateObject(session, [
    { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_SECRET_KEY },
    { type: pkcs11.CKA_KEY_TYPE, value: pkcs11.CKK_AES },
    { type: pkcs11.CKA_TOKEN, value: false },
    { type: pkcs11.CKA_WRAP, value: true },
    { type: pkcs11.CKA_VALUE, value: Buffer.from(wrappingKey) }
  ])
  const wrapped = ids.map((id) => {
    for (const kind of [pkcs11.CKO_SECRET_KEY, pkcs11.CKO_PRIVATE_KEY]) {
      library.C_FindObjectsInit(session, [
        { type: pkcs11.CKA_CLASS, value: kind },
        { type: pkcs11.CKA_ID, value: Buffer.from(id, 'hex') }
      ])
      const [key] = library.C_FindObjects(session, 1)
      library.C_FindObjectsFinal(session)
      if (key === undefined) continue
      return Buffer.from(library.C_WrapKey(session, { mechanism: keyWrapKwp }, known, key, Buffer.alloc(4096)))
    }
    throw new Error(`there is no key ${id}`)
  })
  library.C_Finalize()
  return wrapped
}

process.once('disconnect', () => process.exit(1))
process.once('message', async (order: WrapOutOrder) => {
  const answer: WrapOutAnswer = await wrapAll(order).then(
    (wrapped) => ({ wrapped, problem: null }),
    (error: unknown) => ({ wrapped: [], problem: error instanceof Error ? error.message : 'unknown' })
  )
  process.send?.(answer, () => process.exit(0))
})
