/**
 * Tokens for scripts, made on the host (`keyscaler token create`): each has a scope and an end. One 0600 file a token in the
 * state folder, with its SHA-256 only, so that making one and taking one away never meet in one file; the token names its
 * file. 256 random bits need no slow hash.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { writePrivateFile } from '../../../lib/config/private-file.ts'
import { AppError } from '../../../lib/errors/app-error.ts'
import { sameText } from '../../../lib/service/same-text.ts'

/** `read`: what GET tells; `setup`: all that the one-time code opens. */
export const tokenScopes = ['read', 'setup'] as const
export type TokenScope = (typeof tokenScopes)[number]

const tokenFile = z.strictObject({
  id: z.string(),
  scope: z.enum(tokenScopes),
  hash: z.string(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime()
})
export type Token = Omit<z.infer<typeof tokenFile>, 'hash'>

const longestMs = 30 * 86_400_000

/** `ks_`, so that leak scanners know it; its id; 256 random bits. */
const shape = /^ks_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/

/** @returns the token itself, which is kept nowhere. @throws AppError invalid-input when it would live over 30 days */
export async function createToken(
  stateDir: string,
  scope: TokenScope,
  lifeMs: number
): Promise<Token & { readonly token: string }> {
  if (!(lifeMs > 0 && lifeMs <= longestMs)) throw new AppError('invalid-input', 'A token lives at most 30 days.')
  await removeExpired(stateDir)
  const id = randomBytes(8).toString('hex')
  const token = `ks_${id}_${randomBytes(32).toString('base64url')}`
  const now = Date.now()
  const told = {
    id,
    scope,
    createdAt: new Date(now).toISOString(),
    expiresAt: new Date(now + lifeMs).toISOString()
  }
  await writePrivateFile(pathOf(stateDir, id), JSON.stringify({ ...told, hash: hashOf(token) }))
  return { ...told, token }
}

/** Those that are good now, the oldest first. */
export async function listTokens(stateDir: string): Promise<readonly Token[]> {
  const names = await readdir(folderOf(stateDir)).catch(() => [])
  return names
    .flatMap((name) => readToken(stateDir, name.replace(/\.json$/, '')) ?? [])
    .filter(isGood)
    .map(({ hash: _hash, ...told }) => told)
    .sort((one, other) => one.createdAt.localeCompare(other.createdAt))
}

/** @throws AppError not-found */
export async function revokeToken(stateDir: string, id: string): Promise<void> {
  if (readToken(stateDir, id) === null) {
    throw new AppError('not-found', `There is no token ${id}.`, { cure: 'keyscaler token list tells which there are.' })
  }
  await rm(pathOf(stateDir, id), { force: true })
}

/** Setup is finished: whoever opens it again makes new ones. */
export async function revokeAllTokens(stateDir: string): Promise<void> {
  await rm(folderOf(stateDir), { recursive: true, force: true })
}

/** What a token may do now; null when it is none, has ended, or was revoked, by then at the latest. */
export function scopeOfToken(stateDir: string, token: string): TokenScope | null {
  const id = shape.exec(token)?.[1]
  const kept = id === undefined ? null : readToken(stateDir, id)
  return kept !== null && isGood(kept) && sameText(kept.hash, hashOf(token)) ? kept.scope : null
}

/** Null for what is no token's file, or one that others may read. */
function readToken(stateDir: string, id: string): z.infer<typeof tokenFile> | null {
  if (!/^[0-9a-f]{16}$/.test(id)) return null
  const path = pathOf(stateDir, id)
  try {
    if ((statSync(path).mode & 0o077) !== 0) return null
    return tokenFile.safeParse(JSON.parse(readFileSync(path, 'utf8'))).data ?? null
  } catch {
    return null
  }
}

async function removeExpired(stateDir: string): Promise<void> {
  const names = await readdir(folderOf(stateDir)).catch(() => [])
  for (const id of names.map((name) => name.replace(/\.json$/, ''))) {
    const kept = readToken(stateDir, id)
    if (kept !== null && !isGood(kept)) await rm(pathOf(stateDir, id), { force: true })
  }
}

const isGood = ({ expiresAt }: Pick<Token, 'expiresAt'>) => Date.parse(expiresAt) > Date.now()
const folderOf = (stateDir: string) => join(stateDir, 'tokens')
const pathOf = (stateDir: string, id: string) => join(folderOf(stateDir), `${id}.json`)
const hashOf = (token: string) => createHash('sha256').update(token).digest('base64')
