/** Key stores to try things on: a partition that behaves like the guide's Luna one, and a folder for NSS. */
import { mkdirSync } from 'node:fs'
import { createLunaToken, type LunaToken } from './luna/token.ts'
import { keptPassword } from './secrets.ts'

export interface LunaPartition extends LunaToken {
  /** Of the Crypto Officer; the file (0600) holds the same. */
  readonly pin: string
  readonly pinFile: string
}

export interface NssFolder {
  /** Empty at first, 0700: whoever installs makes the key store in it. */
  readonly folder: string
  readonly password: string
  readonly passwordFile: string
}

/**
 * The guide's partition in a folder of its own, made or adopted.
 * @param secrets folder where the PINs are kept
 */
export async function createLunaPartition(dir: string, secrets: string): Promise<LunaPartition> {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const { password: pin, file: pinFile } = keptPassword(secrets, 'partition')
  const token = await createLunaToken(dir, { pin, soPin: keptPassword(secrets, 'partition-so').password })
  return { ...token, pin, pinFile }
}

/** A folder for an NSS key store, and a password for the one who will make it. */
export function createNssFolder(dir: string, secrets: string): NssFolder {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const { password, file: passwordFile } = keptPassword(secrets, 'nss')
  return { folder: dir, password, passwordFile }
}
