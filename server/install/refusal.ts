/** Why answers were not accepted, as an error: for who gets no page with findings. */
import { AppError, type FieldCause } from '../../lib/errors/app-error.ts'
import type { CheckOutcome } from './install.ts'

/** @param goOn how this door accepts warnings. @param title of the step, where several are asked for at once */
export function refusalOf({ fields, findings }: CheckOutcome, goOn: string, title?: string): AppError {
  const said = (text: string) => (title === undefined ? text : `${title}: ${text}`)
  const bad = findings.filter(({ verdict }) => verdict === 'fail' || verdict === 'warn')
  if (bad.length === 0) {
    const named = Object.entries(fields).map(([name, text]) => (title === undefined ? text : `${name}: ${text}`))
    return new AppError('invalid-input', said(named.join(' ')), { fields })
  }
  const cure = bad.find((finding) => finding.cure !== undefined)?.cure
  const onlyWarnings = bad.every(({ verdict }) => verdict === 'warn')
  return new AppError('check-failed', said(bad.map(({ say }) => say).join(' ')), {
    fields,
    causes: causesOf(findings),
    ...(onlyWarnings ? { cure: `${cure ?? ''} ${goOn}`.trim() } : cure === undefined ? {} : { cure })
  })
}

/** Of the finding that speaks for a field: the first (submit.ts, fieldMessages). */
function causesOf(findings: CheckOutcome['findings']): Record<string, FieldCause> {
  const causes: Record<string, FieldCause> = {}
  for (const { id, field, verdict, cure } of findings) {
    if (field === undefined || verdict !== 'fail') continue
    causes[field] ??= { code: id, ...(cure === undefined ? {} : { remedy: cure }) }
  }
  return causes
}

export const continueByScript = 'To go on all the same, send "_continue": "yes".'
export const continueByFile = 'To go on all the same, set continueAnyway: true in the answers file.'

/** Nothing that stands in the way of these answers. */
export function isClean({ fields, findings }: CheckOutcome): boolean {
  return Object.keys(fields).length === 0 && !findings.some(({ verdict }) => verdict === 'fail')
}
