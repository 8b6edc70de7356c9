/**
 * What a ladder run leaves behind: which library, which token, what it can do, and how long it took. Plain JSON that holds no
 * secret by construction: nothing in it comes from what was typed but slot, label and paths.
 */
import { join } from 'node:path'
import { z } from 'zod'
import { readPrivateJson, writePrivateFile } from '../../../lib/config/private-file.ts'
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import type { ProofFacts } from '../../../lib/keystore/prove-token.ts'

const token = z.strictObject({
  slot: z.int(),
  label: z.string(),
  serial: z.string(),
  manufacturer: z.string(),
  model: z.string(),
  firmware: z.string(),
  /** Names of the flags that are set. */
  flags: z.array(z.string()),
  /** Bytes; null where the token does not tell. */
  storage: z.strictObject({ total: z.int().nullable(), free: z.int().nullable() }),
  maxSessions: z.int().nullable()
})

export const keyStoreEvidence = z.strictObject({
  at: z.iso.datetime(),
  profile: z.enum(['gemalto-safenet', 'nss']),
  module: z.strictObject({ path: z.string(), sha256: z.string().nullable(), bytes: z.int() }),
  library: z
    .strictObject({ description: z.string(), manufacturer: z.string(), version: z.string(), cryptoki: z.string() })
    .nullable(),
  /** As whom the library was loaded; null: it was not. */
  ranAs: z.strictObject({ uid: z.int(), user: z.string(), groups: z.array(z.int()) }).nullable(),
  /** Null: no token was chosen. */
  token: token.nullable(),
  /** A login was accepted. */
  loggedIn: z.boolean(),
  ivMode: z.enum(['caller-iv', 'token-iv']).nullable(),
  mechanisms: z.array(
    z.strictObject({
      number: z.int(),
      name: z.string(),
      /** Key sizes and CKF_ bits, of those that are used. */
      use: z.strictObject({ minKeySize: z.number(), maxKeySize: z.number(), flags: z.number() }).nullable()
    })
  ),
  keyWraps: z.array(z.strictObject({ name: z.string(), mechanism: z.string(), knownAnswer: z.boolean() })),
  roundTrips: z.array(z.strictObject({ name: z.string(), ok: z.boolean(), ckr: z.string().nullable() })),
  /** Milliseconds of each step of the probe, in order. */
  times: z.array(z.strictObject({ step: z.string(), ms: z.number() })),
  /** Why it ended early: step and reason; null when it came to its end. */
  stopped: z.string().nullable()
})

export type KeyStoreEvidence = z.infer<typeof keyStoreEvidence>

const pathOf = (stateDir: string) => join(stateDir, 'key-store-checked.json')

/** Of the last check of step 3: what was validated is what is deployed (security.md A18). */
export async function keepEvidence(stateDir: string, evidence: KeyStoreEvidence): Promise<void> {
  await writePrivateFile(pathOf(stateDir), `${JSON.stringify(evidence, null, 2)}\n`)
}

/** Null: none was kept, or an older version wrote it. @throws AppError internal when it is damaged */
export async function lastEvidence(stateDir: string): Promise<KeyStoreEvidence | null> {
  const older = { parse: (value: unknown) => keyStoreEvidence.safeParse(value).data ?? null }
  return await readPrivateJson(pathOf(stateDir), older, 'Check step 3 again: it is written anew.')
}

/**
 * A token that makes its own IV is in FIPS mode, one that takes ours is not (domain.md A4); no standard call of PKCS#11 tells.
 * @returns null when no proof with a login has found it out for this token
 */
export function fipsModeOf(evidence: KeyStoreEvidence | null, serial: string): boolean | null {
  if (evidence === null || evidence.profile === 'nss' || evidence.ivMode === null) return null
  return evidence.token?.serial === serial ? evidence.ivMode === 'token-iv' : null
}

export function evidenceOf(config: KeyStoreConfig, facts: ProofFacts, at: Date): KeyStoreEvidence {
  const { file, choice, stopped } = facts
  return {
    at: at.toISOString(),
    profile: config.profile,
    module: { path: file.path, sha256: file.sha256, bytes: file.bytes },
    library: facts.library,
    ranAs:
      facts.ranAs === null ? null : { uid: facts.ranAs.uid, user: facts.ranAs.user, groups: [...facts.ranAs.groups] },
    token: choice?.found === true ? tokenOf(choice.token) : null,
    loggedIn: facts.login?.ok === true,
    ivMode: facts.ivMode,
    mechanisms: facts.mechanisms.map(({ number, name, use }) => ({ number, name, use })),
    keyWraps: facts.keyWraps.map(({ name, mechanism, knownAnswer }) => ({ name, mechanism, knownAnswer })),
    roundTrips: facts.roundTrips.map(({ name, ok, failure }) => ({ name, ok, ckr: failure?.ckr ?? null })),
    times: facts.times.map(({ step, ms }) => ({ step, ms })),
    stopped: stopped === null ? null : `${stopped.why} in ${stopped.step}`
  }
}

function tokenOf(
  facts: Extract<NonNullable<ProofFacts['choice']>, { found: true }>['token']
): KeyStoreEvidence['token'] {
  const { slot, label, serial, manufacturer, model, firmware, memory, maxSessions } = facts
  const flags = Object.entries(facts.flags)
    .filter(([, on]) => on)
    .map(([name]) => name)
  return { slot, label, serial, manufacturer, model, firmware, flags, storage: { ...memory }, maxSessions }
}
