/**
 * The proof with which the key store is used. What Next has just proved for these very answers is not proved once more a moment
 * later: on an HSM that would be another minute and another login. Whoever applies without a check before it (after a kill, or
 * Retry) proves here.
 */
import { type Diagnosis, diagnoseKeyStore, type KeyStoreQuestion } from '../../checks/key-store/diagnose.ts'
import type { KmsAnswers } from './answers.ts'

/** By the answers that were submitted: the same object is checked and applied, and lives as long as its submission. */
const proofs = new WeakMap<KmsAnswers, { readonly proof: Diagnosis; readonly at: number }>()

/** Other checks of the step end meanwhile; older than this it is not "just before". */
const freshMs = 30_000

export function keepProof(answers: KmsAnswers, proof: Diagnosis): void {
  proofs.set(answers, { proof, at: performance.now() })
}

/** Once: the next use asks the token. The whole ladder either way, over what is there now, with one login at most. */
export async function proofFor(answers: KmsAnswers, question: () => Promise<KeyStoreQuestion>): Promise<Diagnosis> {
  const kept = proofs.get(answers)
  proofs.delete(answers)
  if (kept !== undefined && performance.now() - kept.at < freshMs) return kept.proof
  return await diagnoseKeyStore(await question())
}
