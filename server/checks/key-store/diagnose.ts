/**
 * The diagnosis of a key store: the whole ladder, from the library's file to keys at work, with one login at most. Step 3,
 * `keyscaler hsm check` and the deployment just before it uses the token all ask here.
 */

import type { KeyStoreConfig } from '../../../lib/keystore/keystore.ts'
import type { ServiceUser } from '../../../lib/keystore/module-child.ts'
import { openPinGuard } from '../../../lib/keystore/pin-guard.ts'
import type { Confirmation } from '../../../lib/keystore/pin-rules.ts'
import { probeToken } from '../../../lib/keystore/probe.ts'
import type { ProbeFacts, ProbeStep } from '../../../lib/keystore/probe-messages.ts'
import { countKnown, type ProofFacts, proveToken } from '../../../lib/keystore/prove-token.ts'
import type { Finding } from '../check.ts'
import { LadderJudge } from '../ladder-judge.ts'
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
  /** The user that the KMS will run as; absent: the one that asks (the `process` target runs it so). */
  readonly runAs?: ServiceUser | undefined
  /** The key store that holds keys of this install; another token, library or master key than that stops. */
  readonly record?: KeyStoreRecord | null | undefined
}

export interface DiagnosisWatch {
  /** Each finding as soon as it is decided, in the order of the ladder. */
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
  const { pin, stateDir, confirmed, record = null, runAs } = question
  const config = withKnownSerial(question.config, record)
  const guard = openPinGuard(stateDir)
  const options = { onStep: watch.step, signal: watch.signal, runAs, masterKey: record?.masterKey?.id }
  const ladder = new LadderJudge(rungsFor(config), { finding: watch.finding })
  const asked = { config, pinGiven: pin !== null, record, runAs: runAs?.uid ?? null }
  const onFacts = (facts: ProofFacts, step: ProbeStep) => ladder.look({ ...asked, facts, step })
  const counted = (facts: ProbeFacts) => countKnown(facts, config, guard)
  const facts =
    pin === null
      ? counted(await probeToken(config, { ...options, onFacts: (known, step) => onFacts(counted(known), step) }))
      : await proveToken(config, pin, guard, { ...options, confirmed, onFacts })
  watch.signal?.throwIfAborted()
  const findings = ladder.finish({ ...asked, facts, step: null })
  return { findings, facts, evidence: evidenceOf(config, facts, new Date()) }
}

/** A partition that is ours is looked for by its serial: another one with its name gets no password. */
function withKnownSerial(config: KeyStoreConfig, record: KeyStoreRecord | null): KeyStoreConfig {
  if (record === null || config.profile === 'nss' || record.profile === 'nss') return config
  return config.partition.trimEnd() === record.label ? { ...config, serial: record.serial } : config
}
