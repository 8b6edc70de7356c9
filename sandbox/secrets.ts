/** Passwords of a sandbox: made once a folder, kept in 0600 files, never printed. */
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** 144 bits in letters, digits, - and _, so that it needs no quoting anywhere. */
export function newPassword(): string {
  return randomBytes(18).toString('base64url')
}

/** Writes a file that only its owner may read. */
export function writePrivate(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 })
}

export interface KeptPassword {
  readonly file: string
  readonly password: string
}

/** The password of this name in this folder; made at the first call. */
export function keptPassword(dir: string, name: string): KeptPassword {
  const file = join(dir, `${name}.password`)
  if (!existsSync(file)) writePrivate(file, newPassword())
  return { file, password: readFileSync(file, 'utf8').trim() }
}
