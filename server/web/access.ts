/**
 * Who may run setup: the holder of the one-time code, once. The code (128 bits) is printed on the console and stands in a
 * 0600 file; it is exchanged for a browser session or a script's bearer token, and is gone with that, or after a day. Only
 * SHA-256 hashes of sessions are kept, in the state folder, so that a restarted wizard still knows its browser.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { readPrivateFile, writePrivateFile } from '../../lib/config/private-file.ts'
import { sameText } from '../../lib/service/same-text.ts'
import { revokeAllTokens, scopeOfToken, type TokenScope } from './api/tokens.ts'

const sessionHours = 12
/** For one password: what the code opens after setup is one page, not setup. */
const passwordMinutes = 30
/** A code that nobody has used by then lies about in a log or a terminal; `keyscaler code` makes another. */
const codeHours = 24
const kept = z.array(
  z.strictObject({ hash: z.string(), kind: z.enum(['browser', 'script', 'password']), until: z.number() })
)

/** `password`: the page for a new key store password after setup, and nothing else (docs/decisions/0014). */
export type SessionKind = 'browser' | 'script' | 'password'

export interface Access {
  readonly codeFile: string
  /** Makes a fresh code; an older one is void. */
  readonly newCode: () => Promise<string>
  /** Exchanges the code, once and within a day, for a session token; null when it is not the code. */
  readonly claim: (code: string, kind: SessionKind) => Promise<string | null>
  readonly holds: (token: string | undefined, kind: SessionKind) => boolean
  /** Of a token made on the host (api/tokens.ts); null when it is none that is good. */
  readonly scopeOf: (token: string) => TokenScope | null
  /** Ends one session: what it was for is done. */
  readonly end: (token: string) => Promise<void>
  /** Ends every session and token and voids the code: setup is finished. */
  readonly close: () => Promise<void>
}

export async function openAccess(stateDir: string): Promise<Access> {
  const codeFile = codeFileOf(stateDir)
  const sessionFile = join(stateDir, 'sessions.json')
  const text = await readPrivateFile(sessionFile)
  let sessions = text === null ? [] : kept.parse(JSON.parse(text))
  const store = () => writePrivateFile(sessionFile, JSON.stringify(sessions))
  let claiming: Promise<unknown> = Promise.resolve()

  const claim = async (code: string, kind: SessionKind) => {
    const expected = await readPrivateFile(codeFile)
    if (expected === null || !sameText(plainCode(code), plainCode(expected))) return null
    if (Date.now() - (await stat(codeFile)).mtimeMs > codeHours * 3_600_000) return null
    await rm(codeFile, { force: true })
    const token = randomBytes(32).toString('base64url')
    const now = Date.now()
    const fresh = { hash: hashOf(token), kind, until: now + lifeOf(kind) }
    sessions = [...sessions.filter((session) => session.until > now), fresh]
    await store()
    return token
  }

  return {
    codeFile,
    newCode: () => writeSetupCode(stateDir),
    // In turn, so that two at once cannot both spend the one code.
    claim: (code, kind) => {
      const mine = claiming.then(() => claim(code, kind))
      claiming = mine.catch(() => {})
      return mine
    },
    holds: (token, kind) => {
      if (token === undefined) return false
      const hash = hashOf(token)
      return sessions.some((row) => row.kind === kind && row.until > Date.now() && sameText(row.hash, hash))
    },
    scopeOf: (token) => scopeOfToken(stateDir, token),
    end: async (token) => {
      const hash = hashOf(token)
      sessions = sessions.filter((row) => !sameText(row.hash, hash))
      await store()
    },
    close: async () => {
      sessions = []
      await store()
      await rm(codeFile, { force: true })
      await revokeAllTokens(stateDir)
    }
  }
}

function lifeOf(kind: SessionKind): number {
  return kind === 'password' ? passwordMinutes * 60_000 : sessionHours * 3_600_000
}

/** Writes a new one-time code into the state folder (0600) and answers it, in groups for reading aloud. */
export async function writeSetupCode(stateDir: string): Promise<string> {
  const code = (randomBytes(16).toString('hex').match(/.{4}/g) ?? []).join('-')
  await writePrivateFile(codeFileOf(stateDir), `${code}\n`)
  return code
}

/** The CSRF token of a session: bound to it, nothing stored. */
export function csrfTokenOf(session: string): string {
  return createHmac('sha256', session).update('csrf').digest('base64url')
}

function codeFileOf(stateDir: string): string {
  return join(stateDir, 'setup-code')
}

function plainCode(code: string): string {
  return code.replace(/[\s-]/g, '').toLowerCase()
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64')
}
