/** What the KMS is told by the wizard. */
import { z } from 'zod'
import { base, path } from '../config.ts'

const measured = {
  /** Worker threads, a session each; absent: as many as the profile and the token take. */
  sessions: z.int().min(1).max(256).optional()
}

const keyStore = z.discriminatedUnion('profile', [
  z.strictObject({
    profile: z.literal('gemalto-safenet'),
    module: path,
    confPath: path.optional(),
    slot: z.int().min(0),
    partition: z.string(),
    serial: z.string(),
    ...measured
  }),
  z.strictObject({ profile: z.literal('nss'), module: path.optional(), folder: path, ...measured })
])

export const kmsConfig = z.strictObject({
  ...base,
  keyStore,
  pinFile: path,
  /** Folder of the PIN guard that wizard and KMS share: the same wrong PIN is never sent twice. */
  pinGuard: path,
  /** CKA_ID of the master key that this install was made with: any version of it, the database knows which is active. */
  masterKey: z.string(),
  /** Key check value of that master key, six hex digits; another key under its id is refused. */
  masterKeyCheckValue: z
    .string()
    .regex(/^[0-9a-f]{6}$/)
    .optional(),
  /** SHA-256 of the library as it was validated; another file there is not loaded. */
  moduleSha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  serviceCa: z.strictObject({ keyId: z.string(), certificate: path })
})

export type KmsConfig = z.infer<typeof kmsConfig>
