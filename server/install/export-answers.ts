/**
 * The answers file that reproduces an install. No secret is in it. One that waits in a credential file is named by
 * {file: …}; one that is kept sealed in the database, or only as a hash, stands as a comment: left out it stays as it is
 * on this install (plan.ts), and on an empty machine the operator names a file of it. Or all of them in one folder at once.
 */
import { join } from 'node:path'
import { Document, type YAMLMap } from 'yaml'
import type { DefinedStep } from '../steps/define-step.ts'
import type { StoredAnswers } from './boot-file.ts'
import type { AnswersByStep } from './progress.ts'
import { credentialPath } from './secrets.ts'
import type { SkipRequest } from './skips.ts'

export interface ExportGround {
  readonly stateDir: string
  readonly steps: readonly DefinedStep[]
  readonly answers: AnswersByStep
}

const head = ` Answers of this install, as keyscaler apply takes them again; no secret is in here.
 Applied to the install that they are from they change nothing. For an empty machine: keyscaler config export --secrets-in.`

/**
 * @param secretsIn folder in which the operator will put every secret, as `<step>-<field>`; absent: where they are kept now
 * @returns YAML; steps that were not answered yet are not in it
 */
export function exportAnswers({ stateDir, steps, answers }: ExportGround, secretsIn?: string): string {
  const answered = steps.filter(({ id }) => answers.has(id))
  const warned = answered.some(({ id }) => answers.get(id)?.findings.some(({ verdict }) => verdict === 'warn'))
  const skip = answered.flatMap(({ id }) => skippedIn(answers.get(id)?.findings ?? []))
  const document = new Document({
    apiVersion: 'setup/v1',
    // Without it an apply elsewhere would stop at what was accepted here.
    ...(warned ? { continueAnyway: true } : {}),
    ...(skip.length === 0 ? {} : { skip }),
    steps: {}
  })
  document.commentBefore = head
  const byStep = document.get('steps') as YAMLMap
  byStep.flow = false
  for (const step of answered) {
    const stored = answers.get(step.id)
    if (stored === undefined) continue
    const { fields, remarks } = exported(step, stored, secretsIn ?? null, stateDir)
    const node = document.createNode(fields) as YAMLMap
    if (remarks.length > 0) node.comment = remarks.map((line) => ` ${line}`).join('\n')
    byStep.set(step.id, node)
  }
  return document.toString({ lineWidth: 0 })
}

function skippedIn(findings: StoredAnswers['findings']): readonly SkipRequest[] {
  return findings.flatMap(({ id, skipped }) => (typeof skipped === 'string' ? { check: id, reason: skipped } : []))
}

function exported(step: DefinedStep, stored: StoredAnswers, secretsIn: string | null, stateDir: string) {
  const fields: Record<string, unknown> = { ...stored.values }
  const remarks: string[] = []
  for (const field of Object.keys(step.fields)) {
    // What is typed twice is kept once.
    const kept = stored.secrets[field] === undefined ? field.replace(/Again$/, '') : field
    const place = stored.secrets[kept]
    if (place === undefined || step.fields[field]?.secret !== true) continue
    const name = `${step.id}-${field.replace(/Again$/, '')}`
    if (secretsIn !== null) fields[field] = { file: join(secretsIn, name) }
    // A new password goes into the file of the one field (server/key-store-password), so both are read from there.
    else if ('file' in place && step.keepsSecretsAsTyped) fields[field] = { file: credentialPath(stateDir, name) }
    else remarks.push(`${field}: { file: ${name} }  (kept sealed here; left out, it stays as it is)`)
  }
  return { fields, remarks }
}
