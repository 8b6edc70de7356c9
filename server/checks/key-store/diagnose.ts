/**
 * The diagnosis of a key store: the whole ladder, from the library's file to keys at work, with one login at most. Step 3,
 * `keyscaler hsm check` and the deployment just before it uses the token all ask here.
 */
import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import { openPinGuard } from '../../../lib/keystore/pin-guard.ts'
import type { Confirmation } from '../../../lib/keystore/pin-rules.ts'
import { probeToken } from '../../../lib/keystore/probe.ts'
import type { ProbeStep } from '../../../lib/keystore/probe-messages.ts'
import { type ProofFacts, proveToken } from '../../../lib/keystore/prove-token.ts'
import { type Finding, judgeLadder } from '../check.ts'
import { evidenceOf, type KeyStoreEvidence } from './evidence.ts'
import type { KeyStoreRecord } from './key-store-record.ts'
import { rungsFor } from './rungs.ts'

export interface KeyStoreQuestion {
  readonly config: KeyStoreConfig
  /** null: everything up to the login, and what needs one is not reached. */
  readonly pin: string | null
  /** Holds the PIN guard, which wizard, commands and KMS share. */
  readonly stateDir: string
  /** What a person has confirmed about a password that the guard holds back. Never set by a program. */
  readonly confirmed?: Confirmation | undefined
  /** The key store that this install has already; another one than that stops. */
  readonly record?: KeyStoreRecord | null | undefined
}

export interface DiagnosisWatch {
  /** Each finding as it is made. */
  readonly finding?: ((finding: Finding) => void) | undefined
  /** Each step of the probe as it begins: what is being waited for. */
  readonly step?: ((step: ProbeStep) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Diagnosis {
  readonly findings: readonly Finding[]
  readonly facts: ProofFacts
  readonly evidence: KeyStoreEvidence
}

/**
 * Never throws for what is wrong with library, token or password: the findings say it.
 * @throws AppError invalid-input for an unsafe NSS folder, not-found when NSS is not installed; the signal's reason
 */
export async function diagnoseKeyStore(question: KeyStoreQuestion, watch: DiagnosisWatch = {}): Promise<Diagnosis> {
  const { config, pin, stateDir, confirmed } = question
  const options = { onStep: watch.step, signal: watch.signal }
  const facts =
    pin === null
      ? { ...(await probeToken(config, options)), knownFailures: 0 }
      : await proveToken(config, pin, openPinGuard(stateDir), { ...options, confirmed })
  watch.signal?.throwIfAborted()
  const findings = judgeLadder(rungsFor(config), { config, facts }, 0, { finding: watch.finding })
  return { findings, facts, evidence: evidenceOf(config, facts, new Date()) }
}
