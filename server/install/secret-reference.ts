/**
 * How an answers file names a value that stands elsewhere: `{file: path}`, `{credential: name}` (systemd's
 * LoadCredential=, a file in $CREDENTIALS_DIRECTORY), or `{env: NAME}`. A file of a secret must be for us alone.
 */
import { readFile, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { z } from 'zod'
import { readPrivateFile } from '../../lib/config/private-file.ts'
import { AppError, messageOf } from '../../lib/errors/app-error.ts'

export const referenceSchema = z.union([
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({ credential: z.string().regex(/^[A-Za-z0-9._-]{1,255}$/) }),
  z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,254}$/) })
])
export type Reference = z.infer<typeof referenceSchema>

/**
 * @param from path of the answers file: a relative path is beside it
 * @throws AppError invalid-input; the message has no place of its own
 */
export async function referred(
  reference: Reference,
  from: string,
  secret: boolean,
  environment: NodeJS.ProcessEnv = process.env
): Promise<string> {
  if ('env' in reference) return fromEnvironment(reference.env, environment)
  if ('credential' in reference) return fromFile(credentialFile(reference.credential, environment), secret)
  return fromFile(isAbsolute(reference.file) ? reference.file : resolve(dirname(from), reference.file), secret)
}

function fromEnvironment(name: string, environment: NodeJS.ProcessEnv): string {
  const value = environment[name]
  if (value !== undefined) return value
  throw new AppError('invalid-input', `the environment has no ${name}.`, {
    cure: `export ${name}, or write {file: …}.`
  })
}

function credentialFile(name: string, environment: NodeJS.ProcessEnv): string {
  const folder = environment.CREDENTIALS_DIRECTORY
  if (folder !== undefined && folder !== '') return join(folder, name)
  throw new AppError('invalid-input', `there is no credentials folder to take ${name} from.`, {
    cure: `Run this from a systemd unit with LoadCredential=${name}:…, or write {file: …}.`
  })
}

async function fromFile(path: string, secret: boolean): Promise<string> {
  const info = await stat(path).catch(() => null)
  if (info === null) throw new AppError('invalid-input', `the file ${path} is missing.`)
  if (!info.isFile()) throw new AppError('invalid-input', `${path} is not a file.`)
  const text = await (secret ? readPrivateFile(path) : readFile(path, 'utf8')).catch((cause: unknown) => {
    const cure = cause instanceof AppError ? cause.cure : undefined
    throw new AppError('invalid-input', messageOf(cause), cure === undefined ? { cause } : { cause, cure })
  })
  // An editor ends a file with a line end; a space before it may be part of a password.
  return (secret ? text?.replace(/\r?\n$/, '') : text?.trimEnd()) ?? ''
}
