import { guardedLogin, guardedName } from './guarded-login.ts'
import type { KeyStoreConfig } from './keystore.ts'
import type { PinGuard } from './pin-guard.ts'
import type { Confirmation } from './pin-rules.ts'
import { type ProbeOptions, probeToken } from './probe.ts'
import type { ProbeFacts, ProbeStep } from './probe-messages.ts'

export interface ProveOptions extends Omit<ProbeOptions, 'login' | 'onFacts'> {
  readonly onFacts?: ((facts: ProofFacts, step: ProbeStep) => void) | undefined
  /** What a person has confirmed about a password that the guard holds back. */
  readonly confirmed?: Confirmation | undefined
}

export interface ProofFacts extends ProbeFacts {
  /** Failed logins known here at this token since the last one that worked, after this proof. */
  readonly knownFailures: number
}

/** Reads the guard's record anew each time: a login that is on its way changes it. */
export function countKnown(facts: ProbeFacts, config: KeyStoreConfig, guard: PinGuard): ProofFacts {
  const serial = facts.choice?.found === true ? facts.choice.token.serial : null
  return { ...facts, knownFailures: serial === null ? 0 : guard.known(guardedName(config, serial)).failures }
}

/**
 * Proves a key store with its password, in one child and with at most one login: facts first, then the guard decides,
 * then C_Login and round trips with session objects. Changes nothing in the token.
 * @throws what probeToken throws; AppError internal when the guard's record cannot be read
 */
export async function proveToken(
  config: KeyStoreConfig,
  pin: string,
  guard: PinGuard,
  options: ProveOptions = {}
): Promise<ProofFacts> {
  const { confirmed, onFacts, ...probe } = options
  const gate = guardedLogin(config, pin, { guard, confirmed })
  const counted = (facts: ProbeFacts) => countKnown(facts, config, guard)
  return counted(
    await probeToken(config, { ...probe, login: gate, onFacts: (facts, step) => onFacts?.(counted(facts), step) })
  )
}
