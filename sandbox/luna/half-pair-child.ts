/** The child side of half-pair.ts. The PIN comes over IPC and is in no argument, environment or file. */
import pkcs11 from 'pkcs11js'
import { signingTemplates } from '../../lib/keystore/key-templates.ts'
import { findToken, initialize, loadModule, logIn, openSession } from '../../lib/keystore/module.ts'
import type { ModuleStart } from '../../lib/keystore/profiles/profile.ts'

export interface HalfPairOrder {
  readonly start: ModuleStart
  readonly pin: string
  /** CKA_ID, hex. */
  readonly id: string
  /** The one that reached the token. */
  readonly half: 'public' | 'private'
}

export type HalfPairAnswer = { readonly problem: string | null }

async function plant({ start, pin, id, half }: HalfPairOrder): Promise<void> {
  const library = loadModule(start.module)
  initialize(library, start)
  const { handle } = await findToken(library, start)
  if (handle === null) throw new Error('the token is not there')
  const session = openSession(library, handle)
  if (logIn(library, session, pin) !== null) throw new Error('the password was rejected')
  // The other half is a session object: gone with this process, as if the kill had come before it was written.
  const place = (token: boolean) => ({ token, id: Buffer.from(id, 'hex'), label: 'half made' })
  const { publicKey } = signingTemplates('EC-P256', place(half === 'public'))
  const { privateKey } = signingTemplates('EC-P256', place(half === 'private'))
  library.C_GenerateKeyPair(session, { mechanism: pkcs11.CKM_EC_KEY_PAIR_GEN }, publicKey, privateKey)
  library.C_Finalize()
}

process.once('disconnect', () => process.exit(1))
process.once('message', async (order: HalfPairOrder) => {
  const problem = await plant(order).then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : 'unknown')
  )
  const answer: HalfPairAnswer = { problem }
  process.send?.(answer, () => process.exit(0))
})
