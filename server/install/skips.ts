/** Checks that somebody wants left out, with the reason: refused where that may not be, whichever door they came by. */
import { z } from 'zod'
import { AppError } from '../../lib/errors/app-error.ts'
import { didYouMean } from '../../lib/service/did-you-mean.ts'
import type { Skips } from '../checks/check.ts'
import { skippableChecks, strictChecks } from './check-classes.ts'

const reasonWanted = 'A skipped check needs a reason of 3 to 300 characters on one line: it is kept with the answers.'

/** As files and scripts give it: `{ check: kafka.record, reason: … }`. */
export const skipRequest = z.strictObject(
  {
    check: z.string({ error: 'check must name a check, e.g. kafka.record.' }),
    reason: z
      .string({ error: reasonWanted })
      .trim()
      .min(3, { error: reasonWanted })
      .max(300, { error: reasonWanted })
      .regex(/^\P{Cc}+$/u, { error: reasonWanted })
  },
  { error: 'A skipped check is { "check": …, "reason": … }.' }
)
export type SkipRequest = z.infer<typeof skipRequest>

const mostSkips = 100

/** What a script sends beside its answers. @throws AppError invalid-input when it has another shape */
export function skipsPosted(sent: unknown): readonly SkipRequest[] {
  const parsed = z.array(skipRequest).max(mostSkips).safeParse(sent)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const shape = 'Skipped checks are a list of { "check": …, "reason": … }.'
  throw new AppError(
    'invalid-input',
    issue?.code === 'custom' || issue === undefined ? shape : `${shape} ${issue.message}`
  )
}

/** What the command has after `--skip`: check=reason. @throws AppError invalid-input */
export function skipTyped(typed: string): SkipRequest {
  const [, check = '', reason = ''] = /^([^=]*)=(.*)$/s.exec(typed) ?? []
  const parsed = skipRequest.safeParse({ check, reason })
  if (check !== '' && parsed.success) return parsed.data
  throw new AppError('invalid-input', `--skip ${typed.slice(0, 80)}: ${reasonWanted}`, {
    cure: 'Write --skip kafka.record="no record may be sent there".'
  })
}

/** Why a check may not be left out; null: it may. */
export function skipRefusal(check: string): string | null {
  if (Object.hasOwn(skippableChecks, check)) return null
  const why = Object.hasOwn(strictChecks, check) ? strictChecks[check] : undefined
  if (why !== undefined) return `${check} is strict and cannot be skipped: ${why}.`
  const known = [...Object.keys(skippableChecks), ...Object.keys(strictChecks)]
  return `There is no check ${check.slice(0, 80)}.${didYouMean(check, known, Math.max(2, Math.floor(check.length / 3)))}`
}

/** For a whole run, before any of it is done. @throws AppError invalid-input for each that is strict, unknown or named twice */
export function refuseSkips(requests: readonly SkipRequest[]): void {
  const names = requests.map(({ check }) => check)
  const refused = names.flatMap((check, index) =>
    names.indexOf(check) < index ? `${check} is skipped twice.` : (skipRefusal(check) ?? [])
  )
  if (refused.length > 0) throw new AppError('invalid-input', refused.join(' '))
}

/**
 * The one place where a request becomes a skip.
 * @param step whose checks are about to run
 * @throws AppError invalid-input for one that is strict, unknown, another step's or named twice
 */
export function skipsFor(step: string, requests: readonly SkipRequest[]): Skips {
  refuseSkips(requests)
  const foreign = requests.find(({ check }) => !check.startsWith(`${step}.`))
  if (foreign !== undefined) throw new AppError('invalid-input', `${foreign.check} is no check of the step ${step}.`)
  return new Map(requests.map(({ check, reason }) => [check, reason]))
}
